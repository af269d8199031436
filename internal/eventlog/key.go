package eventlog

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// eventsRoot is the folder of all logs; the contract fixes it, users point DuckDB at it.
const eventsRoot = "events/"

// schemaPartition is the name of the one partition that is no exchange (schema.go).
const schemaPartition = "-schema"

// maxSeq is the largest seq that fits the 48 bits which a position key has for it: at a thousand
// events a second, enough for nine thousand years.
const maxSeq = 1<<48 - 1

// Prefix returns the folder of an exchange's log, ending in "/".
func Prefix(exchange string) string { return eventsRoot + "exchange=" + exchange + "/" }

// day is a UTC date as it stands in a key, "2026/02/01". Days compare as strings.
type day string

// genesisDay holds position 0 of every log. It is the same for all, so that two replicas around
// midnight want the same key (storage rule 6).
const genesisDay day = "1970/01/01"

func dayOf(t time.Time) day { return day(t.UTC().Format("2006/01/02")) }

func (d day) valid() bool {
	t, err := time.Parse("2006/01/02", string(d))
	return err == nil && dayOf(t) == d && d > genesisDay
}

// positionID is the name of the commit whose first event has that seq: a UUID of version 8 with
// the seq in its first 48 bits and the first 74 bits of the exchange id's SHA-256 in the bits that
// the format leaves free. It is a function of its arguments only, so that two writers who want the
// same position want the same key, and names sort in log order (storage rule 1).
func positionID(exchange string, seq int64) uuid.UUID {
	h := sha256.Sum256([]byte(exchange))
	var u uuid.UUID
	for i := range 6 {
		u[i] = byte(seq >> (8 * (5 - i)))
	}
	// 12 bits beside the version, then 62 beside the variant: h's bits 0..11 and 12..73.
	u[6] = 0x80 | h[0]>>4
	u[7] = h[0]<<4 | h[1]>>4
	u[8] = 0x80 | (h[1]<<2)&0x3c | h[2]>>6
	for i := range 7 {
		u[9+i] = h[2+i]<<2 | h[3+i]>>6
	}
	return u
}

// positionKey is names.key for who asks once.
func positionKey(exchange string, d day, seq int64) string {
	return namesOf(exchange).key(d, seq)
}

// genesisKey is where position 0 lives.
func genesisKey(exchange string) string { return positionKey(exchange, genesisDay, 0) }

// place is a position with its day, read back from a key.
type place struct {
	day day
	seq int64
	key string
}

// names are what the keys of one exchange's positions have in common.
type names struct{ prefix, tail string }

func namesOf(exchange string) names {
	return names{Prefix(exchange), positionID(exchange, 0).String()[seqDigits:] + ".jsonl"}
}

// key is where the commit with that first seq lives, if it lives in day d.
func (n names) key(d day, seq int64) string {
	const digits = "0123456789abcdef"
	key := make([]byte, 0, len(n.prefix)+len(d)+1+seqDigits+len(n.tail))
	key = append(append(append(key, n.prefix...), d...), '/')
	for shift := 44; shift >= 0; shift -= 4 {
		if key = append(key, digits[seq>>shift&0xf]); shift == 16 {
			key = append(key, '-')
		}
	}
	return string(append(key, n.tail...))
}

// seqDigits is how many characters of a position's name are its seq: 12 digits and a hyphen.
const seqDigits = 13

// parse tells whether key is the computed key of a position of the exchange. Anything else in the folder is
// data of the original server, or a stranger's.
func (n names) parse(key string) (place, bool) {
	rest, ok := strings.CutPrefix(key, n.prefix)
	if !ok || len(rest) != len("2006/01/02/")+seqDigits+len(n.tail) || rest[10] != '/' || rest[19] != '-' || rest[11+seqDigits:] != n.tail {
		return place{}, false
	}
	var seq int64
	for i := 11; i < 11+seqDigits; i++ {
		switch c := rest[i]; {
		case i == 19:
		case '0' <= c && c <= '9':
			seq = seq<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			seq = seq<<4 | int64(c-'a'+10)
		default:
			return place{}, false
		}
	}
	return place{day: day(rest[:10]), seq: seq, key: key}, true
}

func parseKey(exchange, key string) (place, bool) { return namesOf(exchange).parse(key) }

func (p place) String() string { return fmt.Sprintf("position %d in %s", p.seq, p.day) }
