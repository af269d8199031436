package faultblob

import (
	"bytes"
	"path"
	"strings"
)

// AllowMerges lets a day of a log be merged (docs/storage.md, rule 16): its first object may be overwritten
// by all the day's commits, one after the other, if the last of them closes the day; and after that any other
// object of the day may be deleted. What else overwrites or deletes an object of a log stays a broken rule.
func (b *Bucket) AllowMerges() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.merges = true
}

// mayOverwrite tells whether data may take an object's place. b.mu must be held.
func (b *Bucket) mayOverwrite(key string, data []byte) bool {
	day := b.commits(path.Dir(key) + "/")
	if !b.merges || len(day) == 0 || day[0] != key {
		return false
	}
	if closesDay(b.objects[key].Data) { // merged before, by another who does the same
		return bytes.Equal(data, b.objects[key].Data)
	}
	var whole []byte
	for _, k := range day {
		whole = append(whole, b.objects[k].Data...)
	}
	return closesDay(data) && bytes.Equal(data, whole)
}

// mayDelete tells whether an object is one that a merge left behind. b.mu must be held.
func (b *Bucket) mayDelete(key string) bool {
	day := b.commits(path.Dir(key) + "/")
	return b.merges && len(day) > 0 && key > day[0] && closesDay(b.objects[day[0]].Data)
}

// commits returns the keys in a folder whose names are those of commits: UUIDs of version 8. b.mu must be held.
func (b *Bucket) commits(folder string) []string {
	var keys []string
	for _, k := range b.keys {
		name, ok := strings.CutPrefix(k, folder)
		if ok && len(name) == len("00000000-0000-8000-8000-000000000000.jsonl") && name[14] == '8' {
			keys = append(keys, k)
		}
	}
	return keys
}

// closesDay tells whether an object's last line is one that ends a day.
func closesDay(data []byte) bool {
	data = bytes.TrimSuffix(data, []byte("\n"))
	last := data[bytes.LastIndexByte(data, '\n')+1:]
	return bytes.Contains(last, []byte(`"event_type":"day_closed","actor_id":"-"`))
}
