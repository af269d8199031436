package exchange

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Text stands in chunks of this size. The first ones are smaller, as large as all before them
// together, since most exchanges are small. What is longer than a quarter of a chunk has its own, so
// that little room is lost where a chunk ends.
const (
	mostChunk  = 64 << 10
	leastChunk = 1 << 10
)

// arena holds the ref and the intent of all threads, one entry for both. It only grows: nothing
// replaces an entry, and what is read out of it is a part of a chunk and no copy.
type arena struct {
	chunks []string // the open one as far as it is written
	open   strings.Builder
	number uint32 // of the open chunk
	total  int
}

// textAt is the place of an entry.
type textAt struct{ chunk, offset uint32 }

// appendEntry appends an entry: each text after its length. So it also stands in a snapshot.
func appendEntry(dst []byte, ref, intent string) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(ref))), ref...)
	return append(binary.AppendUvarint(dst, uint64(len(intent))), intent...)
}

func (x *arena) add(entry []byte) textAt {
	x.total += len(entry)
	if len(entry) > mostChunk/4 {
		x.chunks = append(x.chunks, string(entry))
		return textAt{chunk: uint32(len(x.chunks) - 1)}
	}
	if x.open.Cap()-x.open.Len() < len(entry) {
		x.open.Reset()
		x.open.Grow(max(len(entry), min(mostChunk, max(leastChunk, x.total))))
		x.number = uint32(len(x.chunks))
		x.chunks = append(x.chunks, "")
	}
	at := textAt{x.number, uint32(x.open.Len())}
	x.open.Write(entry) // never makes the buffer grow, which would copy it
	x.chunks[x.number] = x.open.String()
	return at
}

func (x *arena) ref(at textAt) string {
	ref, _ := cut(x.chunks[at.chunk][at.offset:])
	return ref
}

func (x *arena) both(at textAt) (ref, intent string) {
	ref, rest := cut(x.chunks[at.chunk][at.offset:])
	intent, _ = cut(rest)
	return ref, intent
}

// entry returns an entry as appendEntry made it.
func (x *arena) entry(at textAt) string {
	from := x.chunks[at.chunk][at.offset:]
	_, rest := cut(from)
	_, rest = cut(rest)
	return from[:len(from)-len(rest)]
}

// cut cuts off the first text with its length before it.
func cut(s string) (text, rest string) {
	var length uint64
	for i, shift := 0, 0; ; i, shift = i+1, shift+7 {
		length |= uint64(s[i]&0x7f) << shift
		if s[i] < 0x80 {
			return s[i+1:][:length], s[i+1:][length:]
		}
	}
}

// freeze returns a copy for reading.
func (x *arena) freeze() arena { return arena{chunks: slices.Clone(x.chunks)} }
