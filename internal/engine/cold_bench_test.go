package engine

import (
	"context"
	"sync"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
)

// BenchmarkThread is what reading a thread costs, hot from memory and cold from the log in a directory.
func BenchmarkThread(b *testing.B) {
	store, err := bucket.Open(b.Context(), bucket.Config{Type: "filesystem", Path: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	e := New(store, Options{})
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer e.Close(context.Background())
	key, err := e.Register(b.Context(), "home", Registration{ExecutorID: "agent"})
	if err != nil {
		b.Fatal(err)
	}
	c, err := e.Authenticate(b.Context(), "home", key)
	if err != nil {
		b.Fatal(err)
	}
	refs := make([]string, 4000)
	var posts sync.WaitGroup
	for i := range refs {
		posts.Go(func() {
			cmd := request("is the garage door closed?")
			if err := e.Create(b.Context(), c, cmd); err != nil {
				b.Error(err)
			}
			refs[i] = cmd.Result.Ref
		})
	}
	posts.Wait()
	for _, hot := range []bool{true, false} {
		name := map[bool]string{true: "hot", false: "cold"}[hot]
		b.Run(name, func(b *testing.B) {
			if !hot {
				e.bodies = newBodies(0)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := e.Thread(b.Context(), c, refs[i%len(refs)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
