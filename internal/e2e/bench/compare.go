package main

import (
	"fmt"
	"strings"
	"time"
)

// compared in an order that changes the number of threads last.
var compared = []measurement{measureGet, measureList, measureCreate1, measureCreate16, measureCreate64, measureClaim}

// compare measures server and bare handler with that many threads in them, in turns.
func compare(o options, threads int, disk float64) error {
	p, err := newHistory(o.server, history{threads: threads})
	if err != nil {
		return err
	}
	defer p.remove()
	ours, err := start(p, o.server, "serve")
	if err != nil {
		return err
	}
	defer ours.kill()
	took, err := ours.opened(p.old[0])
	if err != nil {
		return err
	}
	bare, err := startBare(ours)
	if err != nil {
		return err
	}
	defer bare.remove()
	defer bare.kill()
	fmt.Printf("\n%d threads, read from the log in %d ms\n", threads, took.Milliseconds())
	fmt.Printf("%-24s %10s %10s %7s %10s %10s %12s %12s\n", "", "server/s", "bare/s", "ratio", "p99 ms", "bare p99", "CPU µs/req", "bare CPU")
	for _, m := range o.chosen(compared) {
		rs, err := m.inTurns([]*target{ours, bare}, o.rounds, o.span)
		if err != nil {
			return err
		}
		x, y := rs[0], rs[1]
		fmt.Printf("%-24s %10.0f %10.0f %6.0f%% %10.2f %10.2f %12.1f %12.1f\n",
			m.name, x.rate, y.rate, 100*x.rate/y.rate, ms(x.p99), ms(y.p99), us(x.cpu), us(y.cpu))
		if m.connections == 1 {
			fmt.Printf("%-24s %9.0f%% of the disk's rate\n", "", 100*x.rate/disk)
		}
	}
	return nil
}

// chosen leaves out the measurements that were not asked for.
func (o options) chosen(all []measurement) []measurement {
	var chosen []measurement
	for _, m := range all {
		if strings.HasPrefix(m.name, o.only) {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
