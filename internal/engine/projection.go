package engine

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

var _ eventlog.Projection = (*machine)(nil)

// beside is what a machine knows besides the state of the rules. A change of it changes besideVersion.
type beside struct {
	Head    int64     `json:"head"`
	Telling int64     `json:"telling"`
	Opened  time.Time `json:"opened"`
	Adopted []string  `json:"adopted,omitempty"`
}

const besideVersion = "1"

// maxBeside bounds what is read of it: some thousands of adopted executors.
const maxBeside = 16 << 20

// Version implements eventlog.Projection.
func (m *machine) Version() string { return exchange.Version + "." + besideVersion }

// image is a machine at one moment.
type image struct {
	beside beside
	state  *exchange.Frozen
}

// Freeze implements eventlog.Projection. A state that lacks what unknown events did is not written down: a
// version that knows them would take it for whole.
func (m *machine) Freeze() (eventlog.Image, bool) {
	m.mu.Lock() // it marks the state's pages as shared
	defer m.mu.Unlock()
	if m.state.ReadOnly() != "" {
		return nil, false
	}
	return &image{
		beside: beside{Head: m.head, Telling: m.telling, Opened: m.opened, Adopted: sortedKeys(m.adopted)},
		state:  m.state.Freeze(),
	}, true
}

// Encode implements eventlog.Image.
func (i *image) Encode(w io.Writer) error {
	text, err := json.Marshal(i.beside)
	if err != nil {
		return fmt.Errorf("encode what the engine knows: %w", err)
	}
	if _, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)); err != nil {
		return fmt.Errorf("write what the engine knows: %w", err)
	}
	return i.state.Encode(w)
}

// Restore implements eventlog.Projection.
func (m *machine) Restore(r io.Reader) error {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return fmt.Errorf("read what the engine knew: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxBeside {
		return fmt.Errorf("what the engine knew is %d bytes long", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return fmt.Errorf("read what the engine knew: %w", err)
	}
	var b beside
	if err := json.Unmarshal(text, &b); err != nil {
		return fmt.Errorf("decode what the engine knew: %w", err)
	}
	state, err := exchange.Decode(r)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state, m.head, m.telling, m.opened = state, b.Head, b.Telling, b.Opened
	m.adopted = make(map[string]struct{}, len(b.Adopted))
	for _, id := range b.Adopted {
		m.adopted[id] = struct{}{}
	}
	return nil
}

func sortedKeys(ids map[string]struct{}) []string { return slices.Sorted(maps.Keys(ids)) }

// difference says in what two machines differ, or "".
func difference(a, b *machine) string {
	switch {
	case a.head != b.head, a.telling != b.telling, !a.opened.Equal(b.opened):
		return fmt.Sprintf("seq %d, last telling %d, opened %v; and seq %d, last telling %d, opened %v", a.head, a.telling, a.opened, b.head, b.telling, b.opened)
	case fmt.Sprint(sortedKeys(a.adopted)) != fmt.Sprint(sortedKeys(b.adopted)):
		return "the executors that were adopted"
	}
	return exchange.Difference(a.state, b.state, eventlog.SameEvent)
}
