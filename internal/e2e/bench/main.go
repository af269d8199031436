package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "bare" {
		fail(serveBare(os.Args[2]))
		return
	}
	server := flag.String("server", "", "the mess-exchange binary")
	rounds := flag.Int("rounds", 3, "rounds of each measurement; the median is printed")
	span := flag.Duration("span", time.Second, "length of one measurement")
	flag.Parse()
	if *server == "" {
		flag.Usage()
		os.Exit(2)
	}
	fail(run(*server, *rounds, *span))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run prints the whole table.
func run(server string, rounds int, span time.Duration) error {
	info, err := os.Stat(server)
	if err != nil {
		return fmt.Errorf("find the server: %w", err)
	}
	disk, err := diskRate(span)
	if err != nil {
		return err
	}
	fmt.Printf("disk: %.0f durable files/s, one after the other (create, sync, link, sync folder)\n", disk)
	fmt.Printf("binary: %.1f MB\n", float64(info.Size())/1e6)
	for _, threads := range []int{100, 10000} {
		if err := compare(server, threads, rounds, span, disk); err != nil {
			return err
		}
	}
	return nil
}

// compare measures server and bare handler with that many threads in them, one after the other in each
// round.
func compare(server string, threads, rounds int, span time.Duration, disk float64) error {
	ours, err := start(server, "serve")
	if err != nil {
		return err
	}
	defer ours.stop()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	bare, err := start(self, "bare", ours.dir+"-bare")
	if err != nil {
		return err
	}
	defer bare.stop()
	fmt.Printf("\n%d threads; empty start %d ms, idle memory %.1f MB\n", threads, ours.started.Milliseconds(), ours.memory())
	for _, s := range []*target{ours, bare} {
		if err := s.fill(threads); err != nil {
			return err
		}
	}
	fmt.Printf("%-24s %10s %10s %7s %10s %10s %12s %12s\n", "", "server/s", "bare/s", "ratio", "p99 ms", "bare p99", "CPU µs/req", "bare CPU")
	for _, m := range measurements {
		var a, b []result
		for range rounds {
			ra, err := ours.measure(m, span)
			if err != nil {
				return err
			}
			rb, err := bare.measure(m, span)
			if err != nil {
				return err
			}
			a, b = append(a, ra), append(b, rb)
		}
		x, y := median(a), median(b)
		fmt.Printf("%-24s %10.0f %10.0f %6.0f%% %10.2f %10.2f %12.0f %12.0f\n",
			m.name, x.rate, y.rate, 100*x.rate/y.rate, ms(x.p99), ms(y.p99), us(x.cpu), us(y.cpu))
		if m.name == "create, 1 connection" {
			fmt.Printf("%-24s %9.0f%% of the disk's rate\n", "", 100*x.rate/disk)
		}
	}
	fmt.Printf("memory afterwards: server %.0f MB, bare %.0f MB\n", ours.memory(), bare.memory())
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
