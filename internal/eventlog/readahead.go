package eventlog

import "context"

// readAhead reads positions of a listing before they are asked for. At most replayReaders objects are
// being read or waiting to be taken, with replayBytes in them or as one, so memory is bounded by that.
type readAhead struct {
	store    Store
	exchange string
	ctx      context.Context
	cancel   context.CancelFunc
	todo     []listed        // in log order, not yet asked for
	inair    []*fetched      // in log order
	bytes    int64           // of those, by the listing
	last     int64           // seq of the last position in the listing
	more     func() []listed // lists on, once something was found; nil afterwards
	work     chan *fetched   // to the readers, with room for all in inair
	readers  int
}

// fetched is an object on its way: done is closed when obj and err are set.
type fetched struct {
	listed
	done chan struct{}
	obj  object
	err  error
}

func fetchAhead(ctx context.Context, store Store, exchange string, positions []listed) *readAhead {
	a := &readAhead{store: store, exchange: exchange, work: make(chan *fetched, replayReaders)}
	a.ctx, a.cancel = context.WithCancel(ctx)
	a.add(positions)
	return a
}

// fetchBehind reads what is behind the head. Mostly that is nothing, so it lists only when the first object
// was found there; and a listing that fails is none.
func (l *Log) fetchBehind(ctx context.Context) *readAhead {
	a := fetchAhead(ctx, l.store, l.exchange, nil)
	p := l.head.place(l.exchange)
	a.more = func() []listed {
		found, err := listBehind(a.ctx, l.store, l.exchange, p)
		if err != nil {
			l.log.Warn("the log can't be listed; it is read one object after the other", "error", err)
		}
		return found.positions
	}
	return a
}

func (a *readAhead) add(positions []listed) {
	a.todo = positions
	if n := len(positions); n > 0 {
		a.last = positions[n-1].seq
	}
}

// read returns the object at p, fetching those behind it at the same time.
func (a *readAhead) read(p place) (object, error) {
	a.drop(p.seq)
	for len(a.todo) > 0 && len(a.inair) < replayReaders && (len(a.inair) == 0 || a.bytes+a.todo[0].size <= replayBytes) {
		a.fetch(a.todo[0])
		a.todo = a.todo[1:]
	}
	for _, f := range a.inair {
		if f.seq > p.seq {
			break
		}
		if f.key == p.key {
			<-f.done
			return f.obj, f.err
		}
	}
	o, err := read(a.ctx, a.store, a.exchange, p, replayTimeout)
	if err == nil && a.more != nil {
		a.add(a.more())
		a.more = nil
	}
	return o, err
}

// drop forgets positions before seq: taken, merged into another object, or orphans.
func (a *readAhead) drop(seq int64) {
	for len(a.todo) > 0 && a.todo[0].seq < seq {
		a.todo = a.todo[1:]
	}
	for len(a.inair) > 0 && a.inair[0].seq < seq {
		<-a.inair[0].done
		a.bytes -= a.inair[0].size
		a.inair[0] = nil // what was taken need not be held by the slice
		a.inair = a.inair[1:]
	}
}

func (a *readAhead) fetch(o listed) {
	f := &fetched{listed: o, done: make(chan struct{})}
	a.inair = append(a.inair, f)
	a.bytes += o.size
	a.work <- f
	if a.readers < min(len(a.inair), replayReaders) {
		a.readers++
		go a.reader()
	}
}

// reader reads one object after the other, so that a million of them don't need as many goroutines.
func (a *readAhead) reader() {
	for f := range a.work {
		f.obj, f.err = read(a.ctx, a.store, a.exchange, f.place, replayTimeout)
		close(f.done)
	}
}

// stop ends what is still being read and waits for it.
func (a *readAhead) stop() {
	a.cancel()
	close(a.work)
	for _, f := range a.inair {
		<-f.done
	}
}
