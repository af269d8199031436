package eventlog

import "time"

const (
	// gatherShare is which part of the time that a commit took its successor waits for company at most, and
	// gatherMost the longest wait. Where a commit is faster than gatherFrom, waiting would cost more than a
	// commit does.
	gatherShare = 2
	gatherMost  = 20 * time.Millisecond
	gatherFrom  = 2 * time.Millisecond
	// gatherPause is how many commits go out at once after a wait that was in vain.
	gatherPause = 16
)

// company is what the committer knows about who may come again.
type company struct {
	answered int // commands that the last commit answered
	expected int // these, and those that were queued when it did
	atOnce   int // commits that are not to wait
}

// meetCompany notes, before a batch is answered, who is there: afterwards those who come again can't be told from
// those who have waited.
func (l *Log) meetCompany(answered int) {
	waiting, _ := l.waitingCommands()
	l.company.answered, l.company.expected = answered, answered+waiting
}

// gather waits a moment, after a commit that answered several commands, for those that were answered to come
// again. Without it, who comes first takes the next commit nearly alone and all others wait for the one after
// it: clients that ask again at each answer would share two commits where one would do.
//
// It waits for as many commands as there were, for half the time a commit takes and at most 20 ms, and only
// on a store that takes some milliseconds. Where they don't come, it does not wait again for some commits. So
// it never delays a lone client, and others by little.
func (l *Log) gather() {
	c := &l.company
	if c.answered < 2 || l.took < gatherFrom {
		return
	}
	c.answered = 0
	if c.atOnce > 0 {
		c.atOnce--
		return
	}
	late := time.NewTimer(min(l.took/gatherShare, gatherMost))
	defer late.Stop()
	for {
		waiting, ended := l.waitingCommands()
		if waiting >= c.expected || ended {
			return
		}
		select {
		case <-l.wake:
		case <-late.C:
			if waiting, _ := l.waitingCommands(); waiting < c.expected/2 {
				c.atOnce = gatherPause
			}
			return
		case <-l.ctx.Done():
			return
		}
	}
}

// waitingCommands returns how many commands are queued, and whether the log takes no more.
func (l *Log) waitingCommands() (n int, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue), l.closed || l.failed != nil
}
