package exchange_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// crowd is a state of n threads as a server that ran for years has them: created one after the other,
// each with its request and further messages, an intent of 40 bytes, claimed and completed for the
// most part. 50 executors share them.
type crowd struct {
	state *exchange.State
	seq   int64
	ts    time.Time
}

func newCrowd(n, messages int) *crowd {
	c := &crowd{state: exchange.New(), ts: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i := range 50 {
		c.apply(exchange.ExecutorRegistered, "", executor(i), fmt.Sprintf(`{"display_name":"Number %d","capabilities":["see"],"api_key_hash":"%044d"}`, i, i))
	}
	for i := range n {
		c.create(i)
		for m := 1; m < messages; m++ {
			c.apply(exchange.MessageAdded, crowdRef(i), executor(i+1), `{"mess":[]}`)
		}
		if i%10 != 0 {
			c.finish(i)
		}
	}
	return c
}

func executor(i int) string { return "executor-" + strconv.Itoa(i%50) }

// crowdRef names thread number i, 500 a day.
func crowdRef(i int) string {
	return exchange.NewRef(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, i/500), fmt.Sprintf("Q%03d", i%500))
}

func (c *crowd) apply(typ, ref, actor, payload string) {
	c.seq++
	c.ts = c.ts.Add(37 * time.Second)
	e := exchange.Event{Seq: c.seq, TS: c.ts, Thread: ref, Type: typ, Actor: actor, Payload: json.RawMessage(payload)}
	binary.BigEndian.PutUint64(e.At[:], uint64(c.seq))
	binary.BigEndian.PutUint64(e.At[8:], uint64(c.seq*300%1e6))
	binary.BigEndian.PutUint64(e.At[16:], 300)
	c.state.Apply(e)
}

func (c *crowd) create(i int) {
	c.apply(exchange.ThreadCreated, crowdRef(i), executor(i), fmt.Sprintf(`{"intent":"Look at door %07d and tell what is there","context":[],"priority":"normal","requestor_id":%q,"response_hint":[]}`, i, executor(i)))
	c.apply(exchange.MessageAdded, crowdRef(i), executor(i), `{"mess":[{"request":{"intent":"Look"}}]}`)
}

func (c *crowd) finish(i int) {
	c.apply(exchange.StatusChanged, crowdRef(i), executor(i+1), fmt.Sprintf(`{"old_status":"pending","new_status":"claimed","executor_id":%q}`, executor(i+1)))
	c.apply(exchange.StatusChanged, crowdRef(i), executor(i+1), fmt.Sprintf(`{"old_status":"claimed","new_status":"completed","executor_id":%q}`, executor(i+1)))
}

func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

const million = 1_000_000

func BenchmarkBytesPerThread(b *testing.B) {
	for _, messages := range []int{1, 3} {
		b.Run(fmt.Sprintf("messages=%d", messages), func(b *testing.B) {
			for range b.N {
				before := live()
				c := newCrowd(million, messages)
				b.ReportMetric(float64(live()-before)/million, "B/thread")
				start := time.Now()
				runtime.GC()
				b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/GC")
				runtime.KeepAlive(c)
			}
		})
	}
}

// BenchmarkKeys is what a keyed command leaves in memory for a day, and what is taken for it and without it: decided
// on a fork and applied.
func BenchmarkKeys(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		for range b.N {
			s, now := exchange.New(), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
			before := live()
			for i := range million {
				payload := exchange.NewOnce(strconv.Itoa(i), "", "", nil).Payload(200, "", "", exchange.Result{Status: "claimed"})
				s.Apply(exchange.Event{Seq: int64(i + 1), TS: now, Type: exchange.NoteAnswered, Actor: executor(i), Payload: json.RawMessage(payload)})
			}
			b.ReportMetric(float64(live()-before)/million, "B/key")
			runtime.KeepAlive(s)
		}
	})
	for name, keyed := range map[string]bool{"create": false, "createWithKey": true} {
		b.Run(name, func(b *testing.B) {
			c := newCrowd(10_000, 1)
			b.ReportAllocs()
			for i := range b.N {
				cmd := &exchange.Create{
					Caller: exchange.Caller{Executor: executor(i), KeyHash: fmt.Sprintf("%044d", i%50)}, Intent: "Look at the door",
					Request: json.RawMessage(`{"intent":"Look at the door"}`), Suffixes: []string{fmt.Sprintf("N%d", i)},
				}
				if keyed {
					cmd.Once = exchange.NewOnce(strconv.Itoa(i), "POST", "/requests", cmd.Request)
				}
				drafts, refusal := cmd.Decide(c.state.Fork(), c.ts)
				if refusal != nil {
					b.Fatal(refusal)
				}
				for _, d := range drafts {
					c.apply(d.Type, d.Thread, d.Actor, string(d.Payload))
				}
			}
		})
	}
}

func BenchmarkMillion(b *testing.B) {
	c := newCrowd(million, 1)
	for _, one := range []struct {
		name string
		run  func(*testing.B, *crowd)
	}{
		{"Apply", benchApply}, {"Thread", benchThread}, {"Threads100", benchThreads}, {"Fork", benchFork}, {"Freeze", benchFreeze},
		{"ApplyAfterFreeze", benchApplyAfterFreeze}, {"Encode", benchEncode}, {"Decode", benchDecode},
	} {
		b.Run(one.name, func(b *testing.B) {
			b.ReportAllocs()
			one.run(b, c)
		})
	}
}

// someRefs are spread over all threads.
func someRefs() []string {
	refs := make([]string, 10000)
	for i := range refs {
		refs[i] = crowdRef(i * 97)
	}
	return refs
}

const aMessage = `{"mess":[{"reply":{}}]}`

func benchApply(b *testing.B, c *crowd) {
	refs := someRefs()
	for i := range b.N {
		c.apply(exchange.MessageAdded, refs[i%len(refs)], "executor-7", aMessage)
	}
}

func benchThread(b *testing.B, c *crowd) {
	refs := someRefs()
	for i := range b.N {
		if t, ok := c.state.Thread(refs[i%len(refs)]); !ok || t.Messages == 0 {
			b.Fatal("no such thread")
		}
	}
}

func benchThreads(b *testing.B, c *crowd) {
	for range b.N {
		if len(c.state.Threads(exchange.Filter{Limit: 100})) != 100 {
			b.Fatal("not 100 threads")
		}
	}
}

// benchFork makes a fork with one event in it, which is what most batches are.
func benchFork(b *testing.B, c *crowd) {
	refs := someRefs()
	for i := range b.N {
		f := c.state.Fork()
		f.Apply(exchange.Event{Seq: 1, TS: c.ts, Thread: refs[i%len(refs)], Type: exchange.MessageAdded, Actor: "executor-7", Payload: json.RawMessage(aMessage)})
	}
}

func benchFreeze(b *testing.B, c *crowd) {
	for range b.N {
		c.state.Freeze()
	}
}

// benchApplyAfterFreeze is the worst case: every page that the event changes is copied first.
func benchApplyAfterFreeze(b *testing.B, c *crowd) {
	refs := someRefs()
	for i := range b.N {
		b.StopTimer()
		f := c.state.Freeze()
		b.StartTimer()
		c.apply(exchange.MessageAdded, refs[i%len(refs)], "executor-7", aMessage)
		runtime.KeepAlive(f)
	}
}

func benchEncode(b *testing.B, c *crowd) {
	f := c.state.Freeze()
	for range b.N {
		if err := f.Encode(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func benchDecode(b *testing.B, c *crowd) {
	var encoded bytes.Buffer
	if err := c.state.Freeze().Encode(&encoded); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(encoded.Len()))
	b.ResetTimer()
	for range b.N {
		if _, err := exchange.Decode(bytes.NewReader(encoded.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(encoded.Len())/million, "B/thread")
}

// BenchmarkPage is a page of 50 among a hundred threads and among a million, most of which the filter leaves out
// and which are newer than what it finds.
func BenchmarkPage(b *testing.B) {
	for _, n := range []int{100, million} {
		c := newSifted(n)
		middle, _ := c.state.Thread(crowdRef(n / 2))
		for name, f := range map[string]exchange.Filter{
			"eligible": {Eligible: "executor-0", Limit: 50},
			"held":     {Executor: "executor-1", Status: exchange.StatusClaimed, Limit: 50},
			"beyond":   {Limit: 50, Beyond: middle.Seq},
		} {
			b.Run(fmt.Sprintf("%s/threads=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if got := len(c.state.Page(f, c.ts).Threads); got < 49 {
						b.Fatalf("%d threads", got)
					}
				}
			})
		}
	}
}

// newSifted returns n threads: the first fifty anyone could claim, the next fifty executor-1 holds, and of the
// rest every second executor-1 has done, while the others wait for those who can what nobody can.
func newSifted(n int) *crowd {
	c := newCrowd(0, 1)
	for i := range n {
		request := `{}`
		if i >= 100 && i%2 == 1 {
			request = fmt.Sprintf(`{"requires":["lift:%d"]}`, i%20)
		}
		c.apply(exchange.ThreadCreated, crowdRef(i), executor(i), fmt.Sprintf(`{"intent":"Look at door %07d and tell what is there"}`, i))
		c.apply(exchange.MessageAdded, crowdRef(i), executor(i), `{"mess":[{"request":`+request+`}]}`)
		if i >= 50 && i < 100 || i >= 100 && i%2 == 0 {
			c.apply(exchange.StatusChanged, crowdRef(i), "executor-1", `{"new_status":"claimed","executor_id":"executor-1"}`)
		}
		if i >= 100 && i%2 == 0 {
			c.apply(exchange.StatusChanged, crowdRef(i), "executor-1", `{"new_status":"completed","executor_id":"executor-1"}`)
		}
	}
	return c
}
