package exchange

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// errDamaged is what Decode says of bytes that Encode did not write.
var errDamaged = errors.New("the encoded state is damaged")

// Decode reads a state that Encode wrote, up to the end of r. It refuses what is no such thing, and
// allocates in proportion to what it has read, whatever numbers stand there.
func Decode(r io.Reader) (*State, error) {
	d := &decoder{r: bufio.NewReaderSize(r, readAtOnce)}
	s := New()
	s.readOnly = d.text()
	d.names(&s.table.names)
	d.executors(&s.register)
	d.threads(s.table)
	d.terms(s.table)
	d.imports(s.table)
	d.history(s.table)
	d.attachments(s.table)
	d.answers(s)
	d.idle(&s.register)
	d.outbox(s)
	if d.err == nil {
		if _, err := d.r.ReadByte(); err == nil {
			d.fail("more follows")
		} else if err != io.EOF {
			d.err = err
		}
	}
	if d.err != nil {
		return nil, fmt.Errorf("decode a state: %w", d.err)
	}
	return s, nil
}

// readAtOnce is the reader's buffer, and the most that is allocated for a text before more of it has
// been read.
const readAtOnce = 64 << 10

// decoder reads until the first error, after which all it reads is zero.
type decoder struct {
	r       *bufio.Reader
	err     error
	scratch []byte
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: "+format, append([]any{errDamaged}, args...)...)
	}
}

// number reads a varint.
func (d *decoder) number() uint64 {
	if d.err != nil {
		return 0
	}
	b, err := d.r.Peek(binary.MaxVarintLen64) // fewer at the end of r
	n, size := binary.Uvarint(b)
	if size <= 0 {
		if err != nil && err != io.EOF {
			d.err = err
		} else {
			d.fail("no number where one belongs")
		}
		return 0
	}
	_, _ = d.r.Discard(size) // was peeked at
	return n
}

func (d *decoder) signed() int64 {
	n := d.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (d *decoder) flag() bool {
	n := d.number()
	if n > 1 {
		d.fail("a flag is %d", n)
	}
	return n == 1
}

// name reads the number of a name.
func (d *decoder) name(n *names) uint32 {
	number := d.number()
	if number >= uint64(len(n.list)) {
		d.fail("name %d of %d", number, len(n.list))
		return 0
	}
	return uint32(number)
}

// bytes appends that many bytes to dst.
func (d *decoder) bytes(dst []byte, size uint64) []byte {
	for size > 0 && d.err == nil {
		n := int(min(size, readAtOnce))
		end := len(dst)
		dst = slices.Grow(dst, n)[:end+n]
		if _, err := io.ReadFull(d.r, dst[end:]); err != nil {
			d.short(err)
		}
		size -= uint64(n)
	}
	return dst
}

// short notes that r ended early or failed.
func (d *decoder) short(err error) {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		d.fail("it ends early")
	} else {
		d.err = err
	}
}

func (d *decoder) text() string {
	d.scratch = d.bytes(d.scratch[:0], d.number())
	s := string(d.scratch)
	d.trim()
	return s
}

// trim lets go of the room for a long text.
func (d *decoder) trim() {
	if cap(d.scratch) > 2*readAtOnce {
		d.scratch = nil
	}
}

func (d *decoder) names(n *names) {
	for count := d.number(); count > 0 && d.err == nil; count-- {
		name := d.text()
		if _, known := n.numbers[name]; known {
			d.fail("a name comes twice")
			return
		}
		number := n.add(name)
		if d.flag() {
			n.seen[number] = d.signed()
		}
	}
}

func (d *decoder) executors(r *register) {
	r.own()
	for count := d.number(); count > 0 && d.err == nil; count-- {
		e := &Executor{ID: d.text(), DisplayName: d.text(), Capabilities: []string{}}
		for n := d.number(); n > 0 && d.err == nil; n-- {
			e.Capabilities = append(e.Capabilities, d.text())
		}
		e.KeyHash = d.text()
		e.CreatedAt = fromMillis(d.signed())
		if _, known := r.executors[e.ID]; known {
			d.fail("an executor comes twice")
			return
		}
		e.sortCapabilities()
		r.executors[e.ID] = e
		r.ids = append(r.ids, e.ID)
		opens := d.flag()
		if e.removed = d.flag(); e.removed && e.KeyHash != "" {
			d.fail("one who was removed has a key")
			return
		}
		e.Notify = d.hearing()
		r.hearers.count(e, 1)
		if !opens {
			continue
		}
		if _, taken := r.keys[e.KeyHash]; taken || e.KeyHash == "" {
			d.fail("a key hash is not its executor's")
			return
		}
		r.keys[e.KeyHash] = owner{id: e.ID}
	}
}

func (d *decoder) threads(t *table) {
	before := slot{place: firstPlace}
	for count := d.number(); count > 0 && d.err == nil; count-- {
		s, hash := d.entry(t)
		s.updated = before.updated + d.signed()
		s.created = s.updated + d.signed()
		s.place = before.place + d.signed()
		for _, name := range [...]*uint32{&s.status, &s.statusBy, &s.requestor, &s.executor, &s.priority} {
			*name = d.name(&t.names)
		}
		if s.place <= before.place || s.place > lastPlace {
			d.fail("a thread at place %d behind one at %d", s.place, before.place)
		}
		if s.status == 0 {
			d.fail("a thread without a status")
		}
		if d.err != nil {
			return
		}
		number := t.add(s, hash)
		d.messages(t, number)
		before = s
	}
}

// entry reads the texts of a thread and puts them into the table. It returns a slot with their place,
// and the hash of the ref.
func (d *decoder) entry(t *table) (slot, uint64) {
	size := d.number()
	d.scratch = d.bytes(binary.AppendUvarint(d.scratch[:0], size), size)
	if d.err != nil {
		return slot{}, 0
	}
	ref := d.scratch[len(d.scratch)-int(size):]
	known, hash := t.findBytes(ref)
	if size == 0 || known != 0 {
		d.fail("a ref is empty or comes twice")
	}
	size = d.number()
	d.scratch = d.bytes(binary.AppendUvarint(d.scratch, size), size)
	if d.err != nil {
		return slot{}, 0
	}
	text := t.texts.add(d.scratch)
	d.trim()
	return slot{text: text}, hash
}

func (d *decoder) messages(t *table, number uint32) {
	for count := d.number(); count > 0 && d.err == nil; count-- {
		b, err := d.r.Peek(len(At{}))
		if err != nil {
			d.short(err)
			return
		}
		t.say(number, At(b))
		_, _ = d.r.Discard(len(b)) // was peeked at
	}
}

func (d *decoder) terms(t *table) {
	var thread uint64
	for count := d.number(); count > 0 && d.err == nil; count-- {
		step := d.number()
		if last := uint64(t.slots.len() - 1); step == 0 || step > last-thread {
			d.fail("terms of thread %d and %d more, of %d", thread, step, last)
			return
		}
		thread += step
		flags := d.number()
		terms := &Terms{
			Requires: d.texts(), DependsOn: d.texts(), ReservedFor: d.text(), Before: d.text(),
			ConfirmBefore: flags&hasConfirmBefore != 0, Confirmed: flags&isConfirmed != 0, DenialCancels: flags&denialCancels != 0,
		}
		if flags&hasNeededBy != 0 {
			terms.NeededBy = fromMillis(d.signed())
		}
		if flags&hasNotBefore != 0 {
			terms.NotBefore = fromMillis(d.signed())
		}
		if terms.flags() != flags || terms.equal(&Terms{}) {
			d.fail("terms with the flags %b", flags)
		}
		if d.err != nil {
			return
		}
		t.setTerms(uint32(thread), terms)
	}
}

func (d *decoder) texts() []string {
	var all []string
	for n := d.number(); n > 0 && d.err == nil; n-- {
		all = append(all, d.text())
	}
	return all
}
