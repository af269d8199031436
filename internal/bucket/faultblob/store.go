package faultblob

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/callblob"
)

// Kind is what a call does.
type Kind string

// The kinds of calls.
const (
	Put        Kind = "put"
	Get        Kind = "get"
	List       Kind = "list"
	Attributes Kind = "attributes"
	Delete     Kind = "delete"
	Settle     Kind = "settle"
)

// Op is one call of a Store, as its Fault function sees it.
type Op struct {
	Kind Kind
	Key  string // the prefix of a List
	Data []byte // of a Put
}

// Fault is what becomes of a call.
type Fault int

// The faults. Each but Cut may befall a write; a read fails at any of them, with an unknown error unless
// it is Refuse.
const (
	None   Fault = iota
	Refuse       // a definite error: not done, and never will be
	Drop         // lost on its way: not done, the answer is unknown
	Lose         // done, the answer is unknown
	Late         // the answer is unknown, done when Release is called
	Repeat       // done, then sent again by the SDK: answered as if the key had existed
	Die          // done, but not durable, and the disk is lost: Fatal
	Cut          // a Get brings the first line only
)

func (f Fault) readError() error {
	if f == Refuse {
		return callblob.ErrRefused
	}
	return callblob.ErrCut
}

var errFatal = errors.New("fsync failed")

// Store is one replica's view of a bucket. It has every method that the log and the engine ask of a
// storage type.
type Store struct {
	callblob.Portal
	bucket *Bucket
	shared bool

	mu    sync.Mutex
	hook  func(context.Context, Op) Fault
	after func(context.Context, Op)
	clock func() time.Time
	late  []func()
}

// Store returns a view of the bucket; shared as where other processes write too. Its clock is time.Now.
func (b *Bucket) Store(shared bool) *Store {
	s := &Store{bucket: b, shared: shared, clock: time.Now}
	s.Portal = callblob.Open(calls{s})
	return s
}

// OnCall sets what becomes of each call. The function may block, to hold a call back; it runs in the
// caller's goroutine. nil: no faults.
func (s *Store) OnCall(f func(context.Context, Op) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = f
}

// OnAnswer sets what happens between a call being carried out and its answer. The function may block, to hold
// back an answer that says how things were when it was made.
func (s *Store) OnAnswer(f func(context.Context, Op)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = f
}

func (s *Store) answer(ctx context.Context, op Op) {
	s.mu.Lock()
	after := s.after
	s.mu.Unlock()
	if after != nil {
		after(ctx, op)
	}
}

// SetClock sets the store's clock.
func (s *Store) SetClock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = now
}

// Release carries out the writes that were Late, in their order.
func (s *Store) Release() {
	s.mu.Lock()
	late := s.late
	s.late = nil
	s.mu.Unlock()
	for _, f := range late {
		f()
	}
}

func (s *Store) fault(ctx context.Context, op Op) Fault {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook == nil {
		return None
	}
	return hook(ctx, op)
}

// write carries out a write with the fault that befalls it.
func (s *Store) write(ctx context.Context, op Op, do func() error) error {
	f := s.fault(ctx, op)
	switch f {
	case Refuse:
		return callblob.ErrRefused
	case Drop, Cut:
		return callblob.ErrCut
	case Late:
		s.mu.Lock()
		s.late = append(s.late, func() { _ = do() })
		s.mu.Unlock()
		return callblob.ErrCut
	}
	err := do()
	carriedOut(ctx)
	s.answer(ctx, op)
	switch {
	case f == Lose:
		return callblob.ErrCut
	case f == Die:
		return errFatal
	case f == Repeat && err == nil:
		return callblob.ErrExists
	}
	return err
}

// Fatal reports a disk that is lost.
func (s *Store) Fatal(err error) bool { return s.Is(err, errFatal) }

type dateKey struct{}

// Dated tells when a call was carried out. That is the time of the bucket, by which objects have their
// ages, whatever SetClock has made of the view's.
func (s *Store) Dated(ctx context.Context) (context.Context, func() time.Time) {
	date := new(atomic.Pointer[time.Time])
	return context.WithValue(ctx, dateKey{}, date), func() time.Time {
		if t := date.Load(); t != nil {
			return *t
		}
		return time.Time{}
	}
}

// carriedOut notes the time of an answer for who asked with Dated.
func carriedOut(ctx context.Context) {
	if date, ok := ctx.Value(dateKey{}).(*atomic.Pointer[time.Time]); ok {
		now := time.Now()
		date.Store(&now)
	}
}

// Now is the time by the store's clock.
func (s *Store) Now() time.Time {
	s.mu.Lock()
	clock := s.clock
	s.mu.Unlock()
	return clock()
}

// Shared is what Bucket.Store was told.
func (s *Store) Shared() bool { return s.shared }

// Settle does nothing: what is in the map is there.
func (s *Store) Settle(ctx context.Context, key string) error {
	if f := s.fault(ctx, Op{Kind: Settle, Key: key}); f != None {
		return f.readError()
	}
	return nil
}

// Load returns an object and its version.
func (s *Store) Load(ctx context.Context, key string) ([]byte, string, error) {
	data, err := s.Bucket().ReadAll(ctx, key)
	if err != nil {
		return nil, "", err
	}
	return data, callblob.Version(data), nil
}

// Replace overwrites the object if it still has that version; "" creates it.
func (s *Store) Replace(ctx context.Context, key, version string, data []byte) error {
	return s.write(ctx, Op{Kind: Put, Key: key, Data: data}, func() error { return s.bucket.replace(key, version, data) })
}

// Spelling returns "": the bucket tells cases apart.
func (s *Store) Spelling(context.Context, string, string) (string, error) { return "", nil }
