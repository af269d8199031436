package main

import (
	"fmt"
	"slices"
	"time"
)

// few is the number of threads that many are held against.
const few = 100

// grown are the measurements whose costs must not grow with the number of threads.
var grown = []measurement{measureGet, measureGetOld, measureList, measureCreate64, measureClaim}

// sifted are measurements of lists that leave nearly all of many threads out.
var sifted = []measurement{measureEligible, measureHeld}

// grow prints what a cold thread takes of memory, and what requests cost with few threads and with many.
func grow(o options) error {
	fmt.Printf("\n%d threads against %d\n", o.scale, few)
	err := against(o, history{}, grown, func(many *target) error { return coldMemory(o, many) })
	if err != nil {
		return err
	}
	fmt.Printf("\nlists of %d of %d threads against those of %d\n", mixedShown, o.scale, few)
	return against(o, history{mixed: true}, sifted, func(*target) error { return nil })
}

// against prints what measurements cost on a server with few threads and on one with many.
func against(o options, h history, all []measurement, first func(many *target) error) error {
	var targets []*target
	for _, h.threads = range []int{few, o.scale} {
		p, err := newHistory(o.server, h)
		if err != nil {
			return err
		}
		defer p.remove()
		t, err := start(p, o.server, "serve")
		if err != nil {
			return err
		}
		defer t.kill()
		if _, err := t.opened(p.old[0]); err != nil {
			return err
		}
		targets = append(targets, t)
	}
	if err := first(targets[1]); err != nil {
		return err
	}
	fmt.Printf("%-24s %16s %16s %7s\n", "", "CPU µs with few", "CPU µs with many", "ratio")
	for _, m := range o.chosen(all) {
		rs, err := m.inTurns(targets, o.rounds, o.span)
		if err != nil {
			return err
		}
		fmt.Printf("%-24s %16.1f %16.1f %6.2fx\n", m.name, us(rs[0].cpu), us(rs[1].cpu), float64(rs[1].cpu)/float64(rs[0].cpu))
	}
	return nil
}

// coldMemory prints what the threads of a server take that nobody has asked for since it was started.
func coldMemory(o options, many *target) error {
	p, err := newPlace()
	if err != nil {
		return err
	}
	defer p.remove()
	empty, err := start(p, o.server, "serve")
	if err != nil {
		return err
	}
	defer empty.kill()
	time.Sleep(time.Until(empty.began.Add(o.settle)))
	used, err := many.memory()
	if err != nil {
		return err
	}
	base, err := empty.memory()
	if err != nil {
		return err
	}
	fmt.Printf("memory after %s: %.0f MB, an empty server %.0f MB: %.0f bytes a cold thread\n",
		o.settle, used/1e6, base/1e6, (used-base)/float64(len(many.old)))
	return nil
}

// starts prints how long a server takes from its start to the first answer for a thread, with as many
// events as the scale says. All files are in the page cache, as after a restart of the process.
func starts(o options) error {
	threads := o.scale / eventsPerThread
	fmt.Printf("\nstart with %d events, to the first answered GET\n", threads*eventsPerThread)
	p, err := newHistory(o.server, history{threads: threads})
	if err != nil {
		return err
	}
	defer p.remove()
	if err := printStart(o, "without a snapshot, a day an object", p, o.rounds, false); err != nil {
		return err
	}
	if err := printStart(o, "from a snapshot", p, o.rounds, true); err != nil {
		return err
	}
	if !o.single {
		return nil
	}
	p.remove()
	if p, err = newHistory(o.server, history{threads: threads, single: true}); err != nil {
		return err
	}
	defer p.remove()
	return printStart(o, "without a snapshot, an event an object", p, 1, false)
}

// printStart prints the median of several starts. Each is stopped in order, which leaves a snapshot.
func printStart(o options, name string, p *place, rounds int, snapshot bool) error {
	var took []time.Duration
	var found string
	for range rounds {
		count, size := p.snapshots()
		switch {
		case !snapshot:
			if err := p.forget(); err != nil {
				return err
			}
		case count == 0:
			fmt.Printf("%-40s %10s  (the server left none)\n", name, "–")
			return nil
		default:
			found = fmt.Sprintf("  (%d objects, %.1f MB)", count, float64(size)/1e6)
		}
		t, err := start(p, o.server, "serve")
		if err != nil {
			return err
		}
		d, err := t.opened(p.old[len(p.old)/2])
		if err != nil {
			t.kill()
			return err
		}
		took = append(took, d)
		if err := t.terminate(); err != nil {
			return err
		}
	}
	slices.Sort(took)
	fmt.Printf("%-40s %8.2f s%s\n", name, took[len(took)/2].Seconds(), found)
	return nil
}
