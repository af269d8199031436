package capabilities

import (
	"fmt"
	"io/fs"
	"slices"
)

// Fixed is a catalogue that does not change.
type Fixed []Capability

// Read reads the catalogue in a file system that does not change, such as one that is embedded. Unlike a folder that
// somebody edits it has no mistakes: the first one found is an error.
func Read(files fs.FS) (Fixed, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("read the catalogue of capabilities: %w", err)
	}
	var all Fixed
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read the catalogue of capabilities: %w", err)
		}
		some, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("read %s of the catalogue of capabilities: %w", name, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// List returns the capabilities with that tag, "" for all. The list is not to be changed.
func (f Fixed) List(tag string) []Capability {
	if tag == "" {
		return f
	}
	return tagged(f, tag)
}

func tagged(all []Capability, tag string) []Capability {
	var some []Capability
	for _, one := range all {
		if slices.Contains(one.Tags, tag) {
			some = append(some, one)
		}
	}
	return some
}
