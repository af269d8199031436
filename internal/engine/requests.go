package engine

import (
	"context"
	"crypto/rand"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Create posts a request. KeyHash, executor and Suffixes of cmd are set by the engine.
func (e *Engine) Create(ctx context.Context, c Caller, cmd *exchange.Create) error {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return err
	}
	defer leave()
	cmd.Caller = c.Caller
	cmd.Suffixes = newSuffixes()
	return x.submitWith(ctx, cmd, x.takeOutOfCreate(cmd))
}

// Update changes a thread.
func (e *Engine) Update(ctx context.Context, c Caller, cmd *exchange.Update) error {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return err
	}
	defer leave()
	cmd.Caller = c.Caller
	luggage, err := x.takeOutOfUpdate(ctx, cmd)
	if err != nil {
		return x.unlessAnswered(ctx, cmd, cmd.Once, err)
	}
	return x.submitWith(ctx, cmd, luggage)
}

// Thread is a thread with all its messages.
type Thread struct {
	exchange.Thread
	Messages []exchange.Message // not to be changed

	engine *Engine // for Open
}

// Thread returns one thread as of the head of the log. Messages that are not in memory are read from the
// log; the room for them is taken until ctx ends (CodeOverloaded where there is none).
func (e *Engine) Thread(ctx context.Context, c Caller, ref string) (*Thread, error) {
	return e.ThreadUnless(ctx, c, ref, func(*exchange.Thread) bool { return false })
}

// ThreadUnless is Thread for who may have it already. known is told what the thread is now, and must not
// block; where it says yes, the messages are left out and cost nothing.
func (e *Engine) ThreadUnless(ctx context.Context, c Caller, ref string, known func(*exchange.Thread) bool) (*Thread, error) {
	x, leave, err := e.call(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	var (
		thread = Thread{engine: e}
		cold   []exchange.At
	)
	err = x.read(ctx, c, func(s *exchange.State) error {
		t, ok := s.Thread(ref)
		if !ok {
			return refuse(exchange.CodeThreadNotFound, "Thread not found")
		}
		thread.Thread = t
		if known(&t) {
			return nil
		}
		thread.Messages = e.bodies.beginning(threadName{x.id, ref}, t.Messages)
		if known := len(thread.Messages); known < t.Messages {
			cold = s.Messages(ref)[known:]
		}
		return nil
	})
	if err == nil && len(cold) > 0 {
		thread.Messages, err = x.fetch(ctx, ref, thread.Messages, cold)
	}
	if err != nil {
		return nil, err
	}
	return &thread, nil
}

// newSuffixes returns candidates for the last part of a ref: mostly of four characters, longer ones
// for a day whose four-character refs are nearly used up. All of them taken is out of the question.
func newSuffixes() []string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	lengths := [...]int{4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6}
	suffixes := make([]string, 0, len(lengths))
	text := randomText(alphabet, 8*4+4*5+4*6)
	for _, length := range lengths {
		suffixes = append(suffixes, text[:length])
		text = text[length:]
	}
	return suffixes
}

// randomText returns n characters of the alphabet, each equally likely.
func randomText(alphabet string, n int) string {
	limit := byte(256 / len(alphabet) * len(alphabet)) // bytes from here on would favour the first letters
	text := make([]byte, 0, n)
	var random [128]byte
	for len(text) < n {
		_, _ = rand.Read(random[:]) // never fails
		for _, b := range random {
			if b < limit && len(text) < n {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(text)
}
