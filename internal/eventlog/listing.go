package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
)

// listed is an object in a log's folder, as a listing shows it. That says where to look, and nothing more
// (storage rule 9).
type listed struct {
	place // of what is no commit its key only
	size  int64
	mod   time.Time
}

// listing is what a listing shows of a log's folder.
type listing struct {
	positions []listed // objects at computed keys, genesis's among them, in log order
	others    []listed // the rest, in key order: data of the original server, or a stranger's
}

// list lists the folder of an exchange's log.
func list(ctx context.Context, store Store, exchange string) (listing, error) {
	var found listing
	err := found.walk(ctx, store, exchange, &blob.ListOptions{Prefix: Prefix(exchange)})
	return found, err
}

// listBehind lists what is behind a position, at the cost of that much.
func listBehind(ctx context.Context, store Store, exchange string, p place) (listing, error) {
	var found listing
	err := found.walk(ctx, store, exchange, store.ListAfter(Prefix(exchange), p.key))
	found.positions = slices.DeleteFunc(found.positions, func(o listed) bool { return o.seq <= p.seq })
	return found, err
}

func (l *listing) walk(ctx context.Context, store Store, exchange string, o *blob.ListOptions) error {
	names := namesOf(exchange)
	it := store.Bucket().List(o)
	for {
		obj, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("list the log of %s: %w", exchange, err)
		}
		found := listed{place: place{key: obj.Key}, size: obj.Size, mod: obj.ModTime}
		if p, ok := names.parse(obj.Key); ok {
			found.place = p
			l.positions = append(l.positions, found)
		} else if strings.HasSuffix(obj.Key, ".jsonl") {
			l.others = append(l.others, found)
		}
	}
	// The order of keys is that of the log, unless something is wrong with it.
	bySeq := func(a, b listed) int { return cmp.Compare(a.seq, b.seq) }
	if !slices.IsSortedFunc(l.positions, bySeq) {
		slices.SortStableFunc(l.positions, bySeq)
	}
	return nil
}

// commits are the positions without genesis.
func (l listing) commits() []listed {
	if len(l.positions) > 0 && l.positions[0].seq == 0 {
		return l.positions[1:]
	}
	return l.positions
}

// listedDay is a day as a listing shows it.
type listedDay struct {
	day       day
	positions []listed // in log order
}

// days cuts the commits where the day changes.
func (l listing) days() []listedDay {
	var days []listedDay
	for _, o := range l.commits() {
		if n := len(days); n == 0 || days[n-1].day != o.day {
			days = append(days, listedDay{day: o.day})
		}
		d := &days[len(days)-1]
		d.positions = append(d.positions, o)
	}
	return days
}

// others is how many bytes a day has besides its first object.
func (d listedDay) others() int64 {
	var n int64
	for _, o := range d.positions[1:] {
		n += o.size
	}
	return n
}
