package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Check verifies what a store holds of one exchange: its log, as eventlog.Check does, its snapshots, each of
// which must be what the log's events make, and the objects that belong to the log, each kind in a file of its
// own (check_profiles.go, check_attachments.go). It writes nothing, takes no lock and may run beside servers. Errors are those of
// eventlog.Check; what is wrong is in the report.
//
// What belongs to the log is written before or after an event, so a crash may leave it one step ahead or
// behind. That is a note. A finding is what no crash can leave.
func Check(ctx context.Context, store Store, exchangeID string) (eventlog.Report, error) {
	// Profiles are read first: each was written after its registration, which the log, read afterwards, holds.
	profiles, strangers, err := readProfiles(ctx, store, exchangeID)
	if err != nil {
		return eventlog.Report{Exchange: exchangeID}, err
	}
	a := &audit{keys: map[string][]string{}, here: map[string]bool{}, attachments: map[string]namedAttachment{}}
	r, err := eventlog.Check(ctx, store, exchangeID, eventlog.CheckOptions{
		New: func() eventlog.Projection { return newMachine(exchangeID, nil) },
		Difference: func(restored, replayed eventlog.Projection) string {
			return difference(restored.(*machine), replayed.(*machine))
		},
		Watch: a.watch,
		Head:  func(replayed eventlog.Projection) { a.state = replayed.(*machine).state },
	})
	if err != nil {
		return r, err
	}
	for _, key := range strangers {
		r.Note("%s is no profile", key)
	}
	if a.state == nil {
		r.Note("the profiles and attachments were not held against the log, which is not whole, or has yet to be opened by a server")
		return r, nil
	}
	if err := a.checkProfiles(ctx, store, &r, profiles); err != nil {
		return r, err
	}
	return r, a.checkAttachments(ctx, store, &r)
}

// audit is the state of an exchange whose log is checked, and what else is needed to judge what belongs to it.
type audit struct {
	state  *exchange.State     // at the head; nil where the log could not be read up to there
	legacy bool                // whether there was data of the original server
	keys   map[string][]string // by executor: the hashes of all keys that this log gave it, the last one last
	here   map[string]bool     // executors that were registered in this log, not adopted

	attachments map[string]namedAttachment // by key: what events name
}

// watch is told each event of the log, in order.
func (a *audit) watch(events []eventlog.Event) {
	for _, ev := range events {
		a.watchAttachments(ev)
		switch {
		case ev.Type == exchange.ExchangeOpened:
			a.legacy = adoptsOldData(ev.Payload)
		case ev.Seq > 0 && (ev.Type == exchange.ExecutorRegistered || ev.Type == exchange.ExecutorUpdated):
			var p struct {
				KeyHash string `json:"api_key_hash"`
			}
			if json.Unmarshal(ev.Payload, &p) == nil && p.KeyHash != "" {
				a.keys[ev.Actor] = append(a.keys[ev.Actor], p.KeyHash)
				a.here[ev.Actor] = a.here[ev.Actor] || ev.Type == exchange.ExecutorRegistered
			}
		}
	}
}

func adoptsOldData(genesis json.RawMessage) bool {
	var p struct {
		Legacy json.RawMessage `json:"legacy"`
	}
	return json.Unmarshal(genesis, &p) == nil && p.Legacy != nil
}

// storedProfile is what a check keeps of a profile object. Settings are none of its business, and may be secret.
type storedProfile struct {
	file    string // the object's name, without .json
	members map[string]json.RawMessage
}

// readProfiles returns the profile objects of an exchange, and the keys of what else lies in their folder.
func readProfiles(ctx context.Context, store Store, id string) (profiles []storedProfile, strangers []string, err error) {
	folder := profileFolder(id)
	it := store.Bucket().List(&blob.ListOptions{Prefix: folder, Delimiter: "/"})
	for {
		obj, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("list the profiles of %s: %w", id, err)
		}
		file, ok := strings.CutSuffix(strings.TrimPrefix(obj.Key, folder), profileSuffix)
		if obj.IsDir || !ok || file == "" {
			strangers = append(strangers, obj.Key)
			continue
		}
		profiles = append(profiles, storedProfile{file: file})
	}
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(profileReaders)
	for i := range profiles {
		readers.Go(func() error {
			key := profileKey(id, profiles[i].file)
			data, _, err := store.Load(ctx, key)
			switch {
			case err == nil:
				profiles[i].members = identityIn(data)
			case store.NoSuchKey(err): // deleted since it was listed
				profiles[i].file = ""
			default:
				return fmt.Errorf("read %s: %w", key, err)
			}
			return nil
		})
	}
	err = readers.Wait()
	return slices.DeleteFunc(profiles, func(p storedProfile) bool { return p.file == "" }), strangers, err
}

// identityIn returns the members of a profile object that the server writes, nil where it is no JSON object.
func identityIn(data []byte) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return nil
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return !slices.Contains(identity, name) })
	return members
}
