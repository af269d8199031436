package httpapi

import (
	"slices"
	"sync"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	// mostLists bounds how many answers to lists are kept, longestList how long each may be: 8 MiB in all.
	mostLists   = 128
	longestList = 64 << 10
)

// lists keeps answers to lists that were asked for more than once since anything happened: executors who wait
// for work ask the same again and again. Whether an answer still holds is for the exchange to say, each time,
// after it has looked at the caller's key. What one executor could claim is a list of that executor's own.
type lists struct {
	mu   sync.Mutex
	kept map[listName]keptList
}

// listName is what an answer depends on besides the exchange's head.
type listName struct {
	exchange string
	filter   exchange.Filter
}

// keptList is an answer, or the mere memory that it was given; the zero value is neither.
type keptList struct {
	seen  bool
	head  int64     // engine.ListVersion.Head
	until time.Time // it does not hold any more; zero for never
	next  int64     // exchange.Page.Next
	tag   string
	text  []byte // nil until it was given twice; never changed
}

// holds reports whether the answer is still the one to give.
func (k keptList) holds(v engine.ListVersion) bool {
	return k.text != nil && k.head == v.Head && (k.until.IsZero() || v.Now.Before(k.until))
}

func (l *lists) get(name listName) keptList {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept[name]
}

// put keeps a copy of an answer that was given at that head before, and remembers the head of others: where
// every list meets a new head, copies would cost more than they save. before is what get has returned.
func (l *lists) put(name listName, before keptList, list engine.List, tag string, text []byte) {
	k := keptList{seen: true, head: list.Version.Head, until: list.Until, next: list.Next, tag: tag}
	if before.seen && before.head == k.head && len(text) <= longestList {
		k.text = slices.Clone(text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.kept[name]; l.kept == nil || !there && len(l.kept) >= mostLists {
		l.kept = map[listName]keptList{}
	}
	l.kept[name] = k
}
