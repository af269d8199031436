package engine

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// Ensure that what is counted goes up with what there is, and down again.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, faultblob.New().Store(true))
		if got := e.Stats(); got != (Stats{}) {
			t.Errorf("at the start: %+v", got)
		}
		_, c := enroll(t, e, "home", "agent")
		enroll(t, e, "office", "agent")
		ref := post(t, e, c, "Check the door")
		s := e.Stats()
		if s.Exchanges != 2 || s.Streams != 0 || s.Reads != 0 || s.Uploads != 0 || s.Bodies < 100 || s.HeadAge != 0 {
			t.Errorf("with two exchanges: %+v", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = e.Follow(ctx, c, EventFilter{}, NoSeq, func(EventBatch) error { return nil }) }()
		go func() { _ = e.AwaitThread(ctx, c, ref, NoSeq, time.Hour) }()
		line := make(chan struct{})
		go func() {
			_, _ = e.Upload(t.Context(), c, ref, "a.txt", "text/plain", slowly{line, strings.NewReader("text")})
		}()
		synctest.Wait()
		if s = e.Stats(); s.Streams != 1 || s.Reads != 1 || s.Uploads != 1 {
			t.Errorf("with some who wait: %+v", s)
		}
		cancel()
		close(line)
		synctest.Wait()
		if s = e.Stats(); s.Streams != 0 || s.Reads != 0 || s.Uploads != 0 {
			t.Errorf("when they are gone: %+v", s)
		}
		time.Sleep(watchEvery - time.Second) // until then nobody looks
		if s = e.Stats(); s.HeadAge < watchEvery-2*time.Second || s.HeadAge > watchEvery {
			t.Errorf("before others are looked for: %+v", s)
		}
	})
}

// slowly is what an upload brings, from when the line is closed on.
type slowly struct {
	line chan struct{}
	*strings.Reader
}

func (s slowly) Read(p []byte) (int, error) {
	<-s.line
	return s.Reader.Read(p)
}
