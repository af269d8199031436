package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// options of a run.
type options struct {
	server   string
	threads  []int
	only     string
	rounds   int
	span     time.Duration
	s3       bool
	distance time.Duration
	scale    int
	settle   time.Duration
	single   bool
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "bare" {
		fail(serveBare(os.Args[2]))
		return
	}
	var o options
	flag.StringVar(&o.server, "server", "", "the mess-exchange binary")
	threads := flag.String("threads", "100,10000", "threads in the exchange while server and bare handler are compared")
	flag.StringVar(&o.only, "only", "", "make only those measurements of the tables whose name begins so: GET, list, create, claim")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each measurement; the median is printed")
	flag.DurationVar(&o.span, "span", time.Second, "length of one measurement")
	flag.BoolVar(&o.s3, "s3", true, "measure creates on an S3 server, too; the first time it is built")
	flag.DurationVar(&o.distance, "s3-distance", 10*time.Millisecond, "how much later answers of the S3 server come when it is measured as if on another machine")
	flag.IntVar(&o.scale, "scale", 0, "threads to measure growth, memory and starts with; 0 leaves that out")
	flag.DurationVar(&o.settle, "settle", 130*time.Second, "how old a server must be before its memory is read: the runtime gives back what it does not need every two minutes")
	flag.BoolVar(&o.single, "single", false, "measure the start with one event an object, too: writes a file an event")
	flag.Parse()
	for word := range strings.SplitSeq(*threads, ",") {
		if word == "" {
			continue
		}
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			fail(fmt.Errorf("-threads: %q is no number of threads", word))
		}
		o.threads = append(o.threads, n)
	}
	if o.server == "" {
		flag.Usage()
		os.Exit(2)
	}
	fail(run(o))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run prints all tables.
func run(o options) error {
	info, err := os.Stat(o.server)
	if err != nil {
		return fmt.Errorf("find the server: %w", err)
	}
	disk, err := diskRate(o.span)
	if err != nil {
		return err
	}
	fmt.Printf("disk: %.0f durable files/s, one after the other (create, sync, link, sync folder)\n", disk)
	fmt.Printf("binary: %.1f MB\n", float64(info.Size())/1e6)
	for _, n := range o.threads {
		if err := compare(o, n, disk); err != nil {
			return err
		}
	}
	if o.s3 {
		if err := compareS3(o); err != nil {
			return err
		}
	}
	if o.scale > 0 {
		if err := grow(o); err != nil {
			return err
		}
		return starts(o)
	}
	return nil
}
