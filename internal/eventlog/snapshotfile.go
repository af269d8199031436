package eventlog

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A snapshot is one object of three parts:
//
//	a line of JSON, which a person can read: header
//	a zstd frame: the log's days, marks in them, the keys of the original server's objects, the projection's image
//	the SHA-256 of all before it
//
// Nothing is decoded before the sum was found right, so a cut or damaged object is told from a sound one
// before it can do any harm. zstd was measured against the standard library's gzip on the image of a million
// events: a fifth of the time to read and a third less to store.

// snapshotFormat is the version of all of this. The image has a version of its own, the projection's.
const snapshotFormat = 2

// snapshot is what a snapshot holds besides the image: what the log must know to go on from there.
type snapshot struct {
	version   string // of the projection
	head      head
	days      []chapter
	marks     []mark
	originals []string // as Log.originals
}

// snapshotHeader is the first line of a snapshot.
type snapshotHeader struct {
	Snapshot   int     `json:"snapshot"` // snapshotFormat
	Projection string  `json:"projection"`
	Exchange   string  `json:"exchange"`
	Seq        int64   `json:"seq"` // of the last event in it
	EventID    string  `json:"event_id"`
	TS         instant `json:"ts"`
	Commit     string  `json:"commit"` // key of the object that held that event
	Day        day     `json:"day"`    // the log's, which holds the position after seq
	DayFirst   int64   `json:"day_first"`
	DayKey     string  `json:"day_key"`
	DaySize    int64   `json:"day_size"` // bytes of the day so far
	Closing    string  `json:"closing"`  // key of the commit that closed the day before, "" for none
	Days       int     `json:"days"`
	Marks      int     `json:"marks"`
	Originals  int     `json:"originals"`
}

func (s snapshot) seq() int64 { return s.head.next - 1 }

func (s snapshot) header(exchange string) snapshotHeader {
	return snapshotHeader{
		Snapshot: snapshotFormat, Projection: s.version, Exchange: exchange,
		Seq: s.seq(), EventID: s.head.last, TS: instant{s.head.ts}, Commit: s.head.key,
		Day: s.head.day, DayFirst: s.head.dayFirst, DayKey: s.head.firstPlace(exchange).key, DaySize: s.head.size,
		Closing: s.head.closing, Days: len(s.days), Marks: len(s.marks), Originals: len(s.originals),
	}
}

// encode returns the object. It ends with an error when ctx does.
func (s snapshot) encode(ctx context.Context, exchange string, image Image) ([]byte, error) {
	w := &cappedBuffer{ctx: ctx}
	header, err := json.Marshal(s.header(exchange))
	if err != nil {
		return nil, fmt.Errorf("encode the header: %w", err)
	}
	if len(header) >= maxSnapshotHeader {
		return nil, fmt.Errorf("the header is %d bytes long", len(header))
	}
	w.Buffer.Write(append(header, '\n'))
	// One at a time, and on one processor: it must not take from those who wait for answers.
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(snapshotWindow))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	body := bufio.NewWriterSize(z, 64<<10)
	if err := errors.Join(s.writeLists(body), image.Encode(body), body.Flush(), z.Close()); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(w.Bytes())
	w.Buffer.Write(sum[:])
	return w.Bytes(), nil
}

// cappedBuffer takes as many bytes as a snapshot may have, as long as ctx lasts.
type cappedBuffer struct {
	bytes.Buffer
	ctx context.Context
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.Len()+len(p) > maxSnapshot-sha256.Size {
		return 0, fmt.Errorf("it is larger than %d MiB", maxSnapshot>>20)
	}
	return b.Buffer.Write(p)
}

// writeLists writes what grows with the log's age: its days, and the original server's objects.
func (s snapshot) writeLists(w *bufio.Writer) error {
	var b []byte
	for _, c := range s.days {
		b = binary.AppendUvarint(appendText(b, string(c.day)), uint64(c.first))
		closed := int64(0)
		if !c.closed.IsZero() {
			closed = c.closed.UnixMilli()
		}
		b = binary.AppendUvarint(binary.AppendVarint(b, closed), uint64(c.size))
	}
	before := mark{}
	for _, m := range s.marks {
		b = binary.AppendVarint(binary.AppendVarint(b, m.seq-before.seq), m.base-before.base)
		before = m
	}
	for _, key := range s.originals {
		if _, err := w.Write(b); err != nil {
			return err
		}
		b = appendText(b[:0], key)
	}
	_, err := w.Write(b)
	return err
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// snapshotFile is a snapshot whose sum is right.
type snapshotFile struct {
	snapshotHeader
	body []byte // compressed
}

// errNoSnapshot: what was read is no snapshot that can be used here.
var errNoSnapshot = errors.New("no usable snapshot")

// parseSnapshot looks at the sum and the header of an object.
func parseSnapshot(data []byte) (snapshotFile, error) {
	end := len(data) - sha256.Size
	if end < 0 || sha256.Sum256(data[:end]) != [sha256.Size]byte(data[end:]) {
		return snapshotFile{}, fmt.Errorf("%w: its checksum does not fit", errNoSnapshot)
	}
	n := bytes.IndexByte(data[:min(end, maxSnapshotHeader)], '\n')
	if n < 0 {
		return snapshotFile{}, fmt.Errorf("%w: its first line is too long", errNoSnapshot)
	}
	f := snapshotFile{body: data[n+1 : end]}
	if err := json.Unmarshal(data[:n], &f.snapshotHeader); err != nil {
		return snapshotFile{}, fmt.Errorf("%w: %w", errNoSnapshot, err)
	}
	return f, nil
}

// usable returns why a snapshot can't be one of this exchange by a projection of that version, or nil.
func (h snapshotHeader) usable(exchange, version string) error {
	switch {
	case h.Snapshot != snapshotFormat:
		return fmt.Errorf("%w: its format is %d, this version reads %d", errNoSnapshot, h.Snapshot, snapshotFormat)
	case h.Exchange != exchange:
		return fmt.Errorf("%w: it is of exchange %q", errNoSnapshot, h.Exchange)
	case h.Projection != version:
		return fmt.Errorf("%w: its projection is of version %q, this one is %q", errNoSnapshot, h.Projection, version)
	}
	return nil
}

// open decodes what the log must know, and returns a reader that stands at the beginning of the image.
// The reader is to be closed.
func (f snapshotFile) open() (snapshot, io.ReadCloser, error) {
	z, err := zstd.NewReader(bytes.NewReader(f.body), zstd.WithDecoderMaxWindow(snapshotWindow), zstd.WithDecoderLowmem(false))
	if err != nil {
		return snapshot{}, nil, fmt.Errorf("%w: %w", errNoSnapshot, err)
	}
	image := &imageReader{Reader: bufio.NewReaderSize(z, 64<<10), decoder: z}
	s, err := f.readLists(image.Reader)
	if err == nil {
		err = s.sound(f)
	}
	if err != nil {
		image.Close()
		return snapshot{}, nil, fmt.Errorf("%w: %w", errNoSnapshot, err)
	}
	return s, image, nil
}

type imageReader struct {
	*bufio.Reader
	decoder *zstd.Decoder
}

func (r *imageReader) Close() error {
	r.decoder.Close()
	return nil
}

func (f snapshotFile) readLists(r *bufio.Reader) (snapshot, error) {
	s := snapshot{version: f.Projection, head: head{
		next: f.Seq + 1, day: f.Day, dayFirst: f.DayFirst, ts: f.TS.Time, key: f.Commit, last: f.EventID, closing: f.Closing, size: f.DaySize,
	}}
	for range f.Days {
		name, err := readText(r)
		if err != nil {
			return s, err
		}
		first, err := binary.ReadUvarint(r)
		if err != nil {
			return s, err
		}
		closed, err := binary.ReadVarint(r)
		if err != nil {
			return s, err
		}
		size, err := binary.ReadUvarint(r)
		if err != nil {
			return s, err
		}
		c := chapter{day: day(name), first: int64(first), size: int64(size)}
		if closed != 0 {
			c.closed = time.UnixMilli(closed).UTC()
		}
		s.days = append(s.days, c)
	}
	if err := s.readMarks(r, f.Marks); err != nil {
		return s, err
	}
	for range f.Originals {
		key, err := readText(r)
		if err != nil {
			return s, err
		}
		s.originals = append(s.originals, key)
	}
	return s, nil
}

func (s *snapshot) readMarks(r *bufio.Reader, count int) error {
	last := mark{}
	for range count {
		seq, err := binary.ReadVarint(r)
		if err != nil {
			return err
		}
		base, err := binary.ReadVarint(r)
		if err != nil {
			return err
		}
		last = mark{last.seq + seq, last.base + base}
		s.marks = append(s.marks, last)
	}
	return nil
}

func readText(r *bufio.Reader) (string, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return "", err
	}
	if n > maxSnapshotHeader {
		return "", fmt.Errorf("a text of %d bytes", n)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return string(b), err
}

// sound returns an error where the parts of a snapshot don't fit together, as no writer of this format
// leaves them.
func (s snapshot) sound(f snapshotFile) error {
	commit, ok := parseKey(f.Exchange, f.Commit)
	_, closing := parseKey(f.Exchange, f.Closing)
	n := len(s.days)
	switch {
	case !ok, f.Closing != "" && !closing, f.DayKey != s.head.firstPlace(f.Exchange).key:
		return errors.New("a key is none of this log")
	case f.Seq < commit.seq, f.Seq >= maxSeq, f.DayFirst < 1, f.DayFirst > f.Seq+1, f.DaySize < 0, f.EventID == "", f.TS.IsZero():
		return errors.New("its numbers don't fit together")
	case n == 0, s.days[n-1].day != f.Day, s.days[n-1].first != f.DayFirst, s.days[0].first != 1:
		return errors.New("its days don't fit together")
	}
	for i, c := range s.days {
		if !c.day.valid() || c.closed.IsZero() != (i == n-1) || i > 0 && (c.first <= s.days[i-1].first || c.day <= s.days[i-1].day) {
			return errors.New("its days are not in order")
		}
		if c.size < 0 || c.closed.IsZero() != (c.size == 0) {
			return errors.New("its days have no size")
		}
	}
	return s.soundMarks()
}

// soundMarks returns an error where marks don't lie in order in their days.
func (s snapshot) soundMarks() error {
	var before mark
	for _, m := range s.marks {
		if m.seq <= before.seq || m.seq >= s.head.next {
			return errors.New("its marks are not in order")
		}
		c := chapterOf(s.days, m.seq)
		size := c.size
		if c.closed.IsZero() {
			size = s.head.size
		}
		if before.seq < c.first {
			before.base = 0
		}
		if m.seq == c.first || m.base <= before.base || m.base >= size {
			return errors.New("its marks don't lie in their days")
		}
		before = m
	}
	return nil
}

// snapshotsRoot is the folder of all snapshots. Everything in it may be deleted at any time.
const snapshotsRoot = "snapshots/"

// SnapshotsPrefix returns the folder of an exchange's snapshots, ending in "/".
func SnapshotsPrefix(exchange string) string { return snapshotsRoot + "exchange=" + exchange + "/" }

const snapshotSuffix = ".snapshot"

// snapshotKey is where the snapshot of a state goes: names sort by seq, and two versions of a projection
// don't overwrite each other's.
func snapshotKey(exchange string, seq int64, version string) string {
	return fmt.Sprintf("%s%015d-%s%s", SnapshotsPrefix(exchange), seq, versionTag(version), snapshotSuffix)
}

// versionTag stands for a projection's version in a key, whatever characters that has.
func versionTag(version string) string {
	h := sha256.Sum256([]byte(version))
	return hex.EncodeToString(h[:4])
}

// listedSnapshot is a snapshot as a listing shows it.
type listedSnapshot struct {
	key  string
	seq  int64
	tag  string
	size int64
}

// parseSnapshotKey tells whether a key is that of a snapshot of that exchange.
func parseSnapshotKey(exchange, key string) (s listedSnapshot, ok bool) {
	name, ok := strings.CutPrefix(key, SnapshotsPrefix(exchange))
	name, isSnapshot := strings.CutSuffix(name, snapshotSuffix)
	if !ok || !isSnapshot || len(name) != len("000000000000000-00000000") || name[15] != '-' {
		return s, false
	}
	seq, err := strconv.ParseUint(name[:15], 10, 48)
	return listedSnapshot{key: key, seq: int64(seq), tag: name[16:]}, err == nil
}
