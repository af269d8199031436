package eventlog

import (
	"fmt"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
)

// Rule 19: a start from a snapshot comes to the same state as one that reads the whole log.
func TestRule19SnapshotIsReplay(t *testing.T) {
	b := faultblob.New()
	r := start(t, b.Store(false))
	for i := range 5 {
		r.do(t, say(fmt.Sprint(i)))
	}
	if n := r.Unsaved(); n != 5 {
		t.Errorf("%d events are unsaved", n)
	}
	must(t, r.Snapshot(t.Context()), nil)
	if n := r.Unsaved(); n != 0 {
		t.Errorf("%d events are unsaved after a snapshot", n)
	}
	r.do(t, say("tail"))
	again := start(t, b.Store(false))
	if n := again.Unsaved(); n != 1 {
		t.Errorf("%d events were read after the snapshot", n)
	}
	equal(t, "actors", actors(again.desk.events), actors(r.desk.events))
}
