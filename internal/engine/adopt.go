package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"
)

// profileReaders is how many profile objects are read at once.
const profileReaders = 16

// datesPatience bounds how long a list of executors waits for dates that only those files hold.
const datesPatience = 3 * time.Second

// adopted is what the genesis event of an exchange with data of the original server says of an
// executor. That server's profile edits wrote no events, so the profile object is the truth; where it
// says nothing, the event of the registration, if there is one, is not contradicted.
type adopted struct {
	DisplayName  *string   `json:"display_name,omitempty"`
	Capabilities *[]string `json:"capabilities,omitempty"`
	KeyHash      string    `json:"api_key_hash,omitempty"`
}

// originalDate is what an adopted executor's file says and no event does.
type originalDate struct{ created, seen time.Time }

// originalProfile is a profile object as the original server wrote it, as far as it can be read.
type originalProfile struct {
	file string // the object's name, without .json
	id   string
	adopted
	originalDate
	oddities []string
}

// adopt returns the executors object of the genesis event, as eventlog.Options.Adopt says. It takes
// what can be taken: a file that is odd becomes an executor with what it does say, and a line in
// the log.
func (x *running) adopt(ctx context.Context) (json.RawMessage, error) {
	profiles, err := x.originalProfiles(ctx)
	if err != nil {
		return nil, err
	}
	executors := map[string]adopted{}
	from := map[string]string{} // executor id → file
	for _, p := range profiles {
		if other, ok := from[p.id]; ok {
			// A copy of a file, most likely: the one that is named like the executor counts.
			dropped := p.file
			if p.file == p.id {
				dropped = other
			}
			x.odd(dropped, "is a second one of executor "+p.id+"; not adopted")
			if dropped == p.file {
				continue
			}
		}
		from[p.id] = p.file
		executors[p.id] = p.adopted
	}
	for _, p := range profiles {
		for _, oddity := range p.oddities {
			x.odd(p.file, oddity)
		}
	}
	data, err := json.Marshal(executors)
	if err != nil {
		return nil, fmt.Errorf("encode the executors: %w", err)
	}
	return data, nil
}

func (x *running) odd(file, oddity string) {
	x.logger.Warn("a profile of the original server "+oddity, "file", profileFolder(x.id)+file+profileSuffix)
}

// originalProfiles reads the profile objects of the exchange, in the order of their names.
func (x *running) originalProfiles(ctx context.Context) ([]originalProfile, error) {
	files, err := x.profileFiles(ctx)
	if err != nil {
		return nil, err
	}
	profiles := make([]originalProfile, len(files))
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(profileReaders)
	for i, file := range files {
		readers.Go(func() error {
			data, _, err := x.engine.store.Load(ctx, profileKey(x.id, file))
			if err != nil {
				return fmt.Errorf("read the profile %s: %w", file, err)
			}
			profiles[i] = parseOriginal(file, data)
			return nil
		})
	}
	if err := readers.Wait(); err != nil {
		return nil, err
	}
	return profiles, nil
}

// profileFiles lists the exchange's profile objects, by the names they have without .json.
func (x *running) profileFiles(ctx context.Context) ([]string, error) {
	var files []string
	folder := profileFolder(x.id)
	it := x.engine.store.Bucket().List(&blob.ListOptions{Prefix: folder, Delimiter: "/"})
	for {
		obj, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the profiles of %s: %w", x.id, err)
		}
		file, ok := strings.CutSuffix(strings.TrimPrefix(obj.Key, folder), profileSuffix)
		if obj.IsDir || !ok || file == "" {
			x.logger.Warn("something among the profiles that is no profile is left alone", "key", obj.Key)
			continue
		}
		files = append(files, file)
	}
}

// parseOriginal takes what can be taken from a profile object of the original server.
func parseOriginal(file string, data []byte) originalProfile {
	p := originalProfile{file: file, id: file}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		p.oddities = append(p.oddities, "is no JSON object; adopted by its file name, without a key")
		return p
	}
	if !take(members["id"], &p.id) || p.id == "" {
		p.id = file
		p.oddities = append(p.oddities, "has no id; adopted by its file name")
	}
	var name string
	if take(members["display_name"], &name) {
		p.DisplayName = &name
	}
	var given []json.RawMessage
	if take(members["capabilities"], &given) {
		p.Capabilities = &[]string{}
	}
	for _, raw := range given {
		var capability string
		if !take(raw, &capability) {
			p.oddities = append(p.oddities, "has a capability that is no string; adopted without it")
			continue
		}
		*p.Capabilities = append(*p.Capabilities, capability)
	}
	if !take(members["api_key_hash"], &p.KeyHash) || p.KeyHash == "" {
		p.oddities = append(p.oddities, "has no API key; adopted without one")
	}
	take(members["created_at"], &p.created)
	take(members["last_seen"], &p.seen)
	return p
}

// take decodes raw into to where it has that type, and leaves to alone where not.
func take[T any](raw json.RawMessage, to *T) bool {
	var v *T
	if err := json.Unmarshal(raw, &v); err != nil || v == nil {
		return false
	}
	*to = *v
	return true
}

// readOriginal reads the dates in the files of adopted executors, once each. They are worth an
// executor's "last seen", so a store that does not answer only means to ask again next time. It
// returns when the executors were adopted.
func (x *running) readOriginal(ctx context.Context) (adopted time.Time) {
	x.machine.mu.RLock()
	adopted = x.machine.opened
	var ids []string
	x.mu.Lock()
	for id := range x.machine.adopted {
		if _, ok := x.original[id]; !ok {
			ids = append(ids, id)
		}
	}
	x.mu.Unlock()
	x.machine.mu.RUnlock()

	ctx, cancel := context.WithTimeout(ctx, datesPatience)
	defer cancel()
	var readers errgroup.Group
	readers.SetLimit(profileReaders)
	for _, id := range ids {
		readers.Go(func() error {
			data, _, err := x.engine.store.Load(ctx, profileKey(x.id, id))
			if err != nil && !x.engine.store.NoSuchKey(err) {
				x.logger.Warn("the dates of an executor can't be read", "executor", id, "error", err)
				return nil
			}
			date := parseOriginal(id, data).originalDate
			x.mu.Lock()
			x.original[id] = date
			x.mu.Unlock()
			return nil
		})
	}
	_ = readers.Wait() // its functions return nil
	return adopted
}
