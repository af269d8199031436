package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
)

// The event types that the log itself writes and reads.
const (
	typeOpened    = "exchange_opened"
	typeDayClosed = "day_closed"
)

// logActor is the actor_id of the log's own events. No executor id can be the same: they begin with
// a letter or a digit.
const logActor = "-"

// format is the version of everything in this package that other versions read: keys, lines, rules.
// A server writes to no other (storage rule 6).
const format = 1

// genesis is the payload of exchange_opened.
type genesis struct {
	Format    int             `json:"format"`
	Next      day             `json:"next"` // the day that holds position 1
	Legacy    *legacySet      `json:"legacy,omitempty"`
	Executors json.RawMessage `json:"executors,omitempty"` // adopted with the legacy set
}

// opened is the genesis object as it was read.
type opened struct {
	genesis
	object object
}

// loadGenesis reads position 0, creating it where that is asked for or data of the original server
// waits to be adopted. Position 0 has one fixed key and is created like any commit, so however many
// replicas open an exchange, one genesis wins and all use that one.
func loadGenesis(ctx context.Context, store Store, exchange string, o Options) (opened, error) {
	g, err := readGenesis(ctx, store, exchange)
	if errors.Is(err, errAbsent) {
		if err := createGenesis(ctx, store, exchange, o); err != nil {
			return opened{}, err
		}
		g, err = readGenesis(ctx, store, exchange)
	}
	if err != nil {
		return opened{}, fmt.Errorf("open the log of %s: %w", exchange, err)
	}
	return g, nil
}

func readGenesis(ctx context.Context, store Store, exchange string) (opened, error) {
	p := place{day: genesisDay, seq: 0, key: genesisKey(exchange)}
	obj, err := read(ctx, store, exchange, p, replayTimeout)
	if err != nil {
		return opened{}, err
	}
	g := opened{object: obj}
	if len(obj.events) != 1 || obj.events[0].Type != typeOpened {
		return opened{}, fmt.Errorf("read %s: %w: it is no genesis", p.key, errCorrupt)
	}
	if err := json.Unmarshal(obj.events[0].Payload, &g.genesis); err != nil {
		return opened{}, fmt.Errorf("read %s: %w: %w", p.key, errCorrupt, err)
	}
	if !g.Next.valid() {
		return opened{}, fmt.Errorf("read %s: %w: the first day is %q", p.key, errCorrupt, g.Next)
	}
	return g, nil
}

// createGenesis writes position 0, or finds that someone else did.
func createGenesis(ctx context.Context, store Store, exchange string, o Options) error {
	old, err := oldData(ctx, store, exchange)
	if err != nil {
		return err
	}
	if !old && !o.Create {
		return ErrNotFound
	}
	now := store.Now().UTC().Truncate(time.Millisecond)
	g := genesis{Format: format, Next: dayOf(now)}
	if old {
		set, err := surveyLegacy(ctx, store, exchange)
		if err != nil {
			return err
		}
		g.Legacy = &set
		if o.Adopt != nil {
			if g.Executors, err = o.Adopt(ctx); err != nil {
				return fmt.Errorf("adopt the executors of %s: %w", exchange, err)
			}
		}
		// The log's time starts at genesis. It is not before the last old event, so that ts never goes
		// back, unless that one comes from a clock gone wrong.
		if last := set.LastTS.Time; last.After(now) && last.Before(now.Add(maxAhead)) {
			now = last
		}
	}
	data, err := encodeGenesis(exchange, g, now)
	if err != nil {
		return err
	}
	err = putOnce(ctx, store, genesisKey(exchange), data)
	if err != nil && !store.Exists(err) {
		return fmt.Errorf("create the log of %s: %w", exchange, err)
	}
	return nil
}

func encodeGenesis(exchange string, g genesis, now time.Time) ([]byte, error) {
	payload, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("encode genesis: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make an event id: %w", err)
	}
	data, _, err := appendLine([]byte(schemaLines), exchange, Event{ID: id.String(), TS: now, Type: typeOpened, Actor: logActor, Payload: payload})
	return data, err
}

// putOnce creates an object, sending the same bytes again while the outcome is unknown: whichever
// attempt lands, and whoever else creates the key first, what stands there afterwards counts.
func putOnce(ctx context.Context, store Store, key string, data []byte) error {
	deadline := time.Now().Add(giveUp)
	for wait := backoff(0); ; wait = backoff(wait) {
		_, err := put(ctx, store, key, data)
		if err == nil || store.Exists(err) || store.Definite(err) || store.Fatal(err) || time.Now().Add(wait).After(deadline) {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// oldData reports whether the exchange has objects without a genesis: events or executors of the
// original server.
func oldData(ctx context.Context, store Store, exchange string) (bool, error) {
	for _, prefix := range []string{Prefix(exchange), ExecutorsPrefix(exchange)} {
		page, _, err := store.Bucket().ListPage(ctx, blob.FirstPageToken, 1, &blob.ListOptions{Prefix: prefix})
		if err != nil {
			return false, fmt.Errorf("look for data of %s: %w", exchange, err)
		}
		if len(page) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// ExecutorsPrefix returns the folder of an exchange's profile objects, ending in "/". The log only
// looks whether there is anything: an exchange of the original server may have executors and no event.
func ExecutorsPrefix(exchange string) string { return "executors/exchange=" + exchange + "/" }
