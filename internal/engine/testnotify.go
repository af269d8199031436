package engine

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/notify"
	"github.com/mess-exchange/mess-exchange/internal/notify/channel"
	"github.com/mess-exchange/mess-exchange/internal/notify/send"
	notification "github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

// testTime is how long the answer to a test waits for the channels: the time that an attempt has, and some for a
// place among others.
const testTime = 20 * time.Second

// The outcomes of a test.
const (
	testDelivered = "delivered"
	testRetry     = "retry"
	testFailed    = "failed"
)

// TestResult is what came of a test on one channel. It holds nothing of the channel but its place and its type.
type TestResult struct {
	Channel string // notify.Way.String
	Outcome string // delivered; retry, for what a notification would be tried again after; failed
	Status  int    // of the receiver's answer, 0 for none
	Reason  string // in fixed words, "" for none
}

// TestNotifications sends a test to each channel in the caller's profile and returns what came of each, in the order
// of the profile. It looks at no preferences, is sent once, and nothing of it is kept. CodeNotYourProfile for another's.
//
// Cost: a read of the profile, and a request to each channel, of which there are at most settings.MaxChannels. Nobody
// else waits for it. How often one may ask is for the caller to bound.
func (e *Engine) TestNotifications(ctx context.Context, c Caller, executorID string) ([]TestResult, error) {
	if executorID != c.Executor {
		return nil, refuse(exchange.CodeNotYourProfile, "Can only test your own notifications")
	}
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	var executor *exchange.Executor
	err = x.read(ctx, c, func(s *exchange.State) error {
		executor, _ = s.Executor(executorID) // has just been let in
		return nil
	})
	if err != nil {
		return nil, err
	}
	channels, err := x.channels(ctx, executor)
	if err != nil {
		return nil, e.unreadable(ctx, err)
	}
	return e.sendTest(ctx, channels, notify.NewTest(executorID, e.store.Now())), nil
}

// channels reads the channels of an executor.
func (x *running) channels(ctx context.Context, executor *exchange.Executor) ([]notification.Entry, error) {
	own, err := x.ownSettings(ctx, executor)
	if err != nil {
		return nil, err
	}
	s, _ := notification.Read(own) // what it leaves out, it leaves out of every notification
	return s.Channels, nil
}

// testAnswer is what a receiver made of a test.
type testAnswer struct {
	channel int
	outcome send.Outcome
}

// sendTest sends a notification to all channels at once, and returns what has come of them.
func (e *Engine) sendTest(ctx context.Context, channels []notification.Entry, n notify.Notification) []TestResult {
	results := make([]TestResult, len(channels))
	answers := make(chan testAnswer, len(channels)) // with room for those who come too late
	sent := 0
	for i, one := range channels {
		way := notify.Way{Index: one.Index, Type: one.Type}
		results[i] = TestResult{Channel: way.String(), Outcome: testRetry, Reason: "no answer in time"}
		r, err := channel.Request(one, channel.Delivery{Notification: n, ID: testID(), Now: e.store.Now()})
		if err != nil {
			results[i].Outcome, results[i].Reason = testFailed, "the channel's settings can't be used"
			continue
		}
		if e.notify.Sender == nil {
			results[i].Outcome, results[i].Reason = testFailed, "this server sends no notifications"
			continue
		}
		switch err := e.notify.Sender.Submit(r, func(o send.Outcome) { answers <- testAnswer{i, o} }); {
		case err == nil:
			sent++
		case errors.Is(err, send.ErrFull):
			results[i].Reason = "the server has too much to send now"
		default:
			results[i].Reason = "the server stops"
		}
	}
	e.takeAnswers(ctx, answers, sent, func(a testAnswer) {
		results[a.channel].Outcome, results[a.channel].Status, results[a.channel].Reason = testOutcome(a.outcome.Verdict), a.outcome.Status, a.outcome.Reason
	})
	return results
}

// takeAnswers takes so many answers, or those that have come when testTime is over, the client is gone, or nobody is
// to wait any more.
func (e *Engine) takeAnswers(ctx context.Context, answers <-chan testAnswer, expected int, take func(testAnswer)) {
	late := time.NewTimer(testTime)
	defer late.Stop()
	for ended := false; expected > 0 && !ended; {
		select {
		case a := <-answers:
			expected--
			take(a)
		case <-late.C:
			ended = true
		case <-ctx.Done():
			ended = true
		case <-e.released:
			ended = true
		case <-e.closing:
			ended = true
		}
	}
	for len(answers) > 0 { // nobody else takes any
		take(<-answers)
	}
}

// testOutcome is the word for a verdict. A receiver that wants no more has failed, and is not turned off by a test.
func testOutcome(v send.Verdict) string {
	switch v {
	case send.Delivered:
		return testDelivered
	case send.TryAgain:
		return testRetry
	}
	return testFailed
}

// testID is an id like notify.DeliveryID, and new for each test: one that a receiver has seen would be a repetition.
func testID() string {
	var random [20]byte
	_, _ = rand.Read(random[:]) // never fails
	return "msg_" + base32.StdEncoding.EncodeToString(random[:])
}
