package eventlog

import (
	"encoding/binary"
	"hash/crc32"
	"sort"
	"time"
)

// At says where in the log an event stands, so that it alone can be read again (Log.Read). It is opaque
// outside this package; the zero value is that of an event that is not in the store. internal/exchange
// declares the same type.
type At = [24]byte

// position is what an At holds. An event can be found before and after the merge of its day, because a
// merge is the exact concatenation of the day's commits (storage rule 16): alone, at offset of its
// commit's object, or in the day's first object at base+offset.
type position struct {
	object int64  // first seq of the object; of data of the original server the object's place in Log.originals
	base   int64  // bytes of the day before that object; original for data of the original server
	offset uint32 // of the line in the object
	length uint32 // of the line, its LF included where it has one
	sum    uint32 // CRC-32C of the line: whatever else lies at that place is not taken for it
}

// original marks the positions of events of the original server. No day has that many bytes.
const original = 1<<48 - 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// at packs a position: 6, 6, 4, 4 and 4 bytes.
func (p position) at() (at At) {
	put48(at[0:], p.object)
	put48(at[6:], p.base)
	binary.BigEndian.PutUint32(at[12:], p.offset)
	binary.BigEndian.PutUint32(at[16:], p.length)
	binary.BigEndian.PutUint32(at[20:], p.sum)
	return at
}

func positionOf(at At) position {
	return position{
		object: get48(at[0:]),
		base:   get48(at[6:]),
		offset: binary.BigEndian.Uint32(at[12:]),
		length: binary.BigEndian.Uint32(at[16:]),
		sum:    binary.BigEndian.Uint32(at[20:]),
	}
}

// SameEvent tells whether two positions are those of one event, which are not the same bytes where its day
// was read before its merge once, and after it the other time.
func SameEvent(a, b At) bool {
	p, q := positionOf(a), positionOf(b)
	if p.length != q.length || p.sum != q.sum || (p.base == original) != (q.base == original) {
		return false
	}
	if p.base == original {
		return p.object == q.object && p.offset == q.offset
	}
	return p.base+int64(p.offset) == q.base+int64(q.offset)
}

// place moves the events of an object, which know their place in it, to the object's place in its day.
func placeEvents(events []Event, base int64) {
	for i := range events {
		put48(events[i].At[6:], base)
	}
}

// lineAt is the position of a line in an object.
func lineAt(object int64, offset int, line []byte) At {
	return position{object: object, offset: uint32(offset), length: uint32(len(line)), sum: crc32.Checksum(line, castagnoli)}.at()
}

func put48(b []byte, v int64) {
	binary.BigEndian.PutUint16(b, uint16(v>>32))
	binary.BigEndian.PutUint32(b[2:], uint32(v))
}

func get48(b []byte) int64 {
	return int64(binary.BigEndian.Uint16(b))<<32 | int64(binary.BigEndian.Uint32(b[2:]))
}

// chapter is a day of the log: which positions it holds, and whether it is closed.
type chapter struct {
	day    day
	first  int64
	closed time.Time // ts of its day_closed; zero for the log's day
	size   int64     // bytes of its commits; 0 for the log's day
}

// chapterOf returns the day that holds a position that has been applied.
func chapterOf(chapters []chapter, seq int64) chapter {
	n := sort.Search(len(chapters), func(i int) bool { return chapters[i].first > seq })
	return chapters[n-1]
}
