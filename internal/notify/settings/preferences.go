package settings

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the same zones on every machine: what one replica takes, each can read

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

var priorities = exchange.Priorities()

// Preferences say when an executor wants to be told of something. The zero value lets everything pass; one that
// was read has a MinPriority.
type Preferences struct {
	MinPriority string      // "" for any
	Quiet       *QuietHours // nil for none
}

// QuietHours are from Start until right before End, on the clock in Zone. Start after End is over midnight; the
// same time twice is never.
type QuietHours struct {
	Start, End int // minutes since midnight
	Zone       *time.Location
}

// Where quiet hours name no time, the original server's.
const (
	defaultStart = 22 * 60
	defaultEnd   = 7 * 60
)

func (r *reader) preferences(v json.RawMessage) Preferences {
	p := Preferences{MinPriority: exchange.PriorityNormal}
	members := r.object("preferences", v)
	if s, ok := r.optional("preferences.min_priority", members["min_priority"]); ok {
		if slices.Contains(priorities, s) {
			p.MinPriority = s
		} else {
			r.wrong("preferences.min_priority", "must be one of %s", strings.Join(priorities, ", "))
		}
	}
	p.Quiet = r.quietHours(r.object("preferences.quiet_hours", members["quiet_hours"]))
	return p
}

// quietHours reads them all, also where they are not enabled. With a problem there are none: a message at night is
// better than none ever.
func (r *reader) quietHours(members map[string]json.RawMessage) *QuietHours {
	const field = "preferences.quiet_hours"
	before := len(r.problems)
	var enabled bool
	if v := members["enabled"]; given(v) && json.Unmarshal(v, &enabled) != nil {
		r.wrong(field+".enabled", "must be true or false")
	}
	q := &QuietHours{
		Start: r.clock(field+".start", members["start"], defaultStart),
		End:   r.clock(field+".end", members["end"], defaultEnd),
		Zone:  r.zone(field+".timezone", members["timezone"]),
	}
	if !enabled || len(r.problems) > before {
		return nil
	}
	return q
}

// optional reads a string that may be missing or empty.
func (r *reader) optional(field string, v json.RawMessage) (string, bool) {
	if !given(v) {
		return "", false
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		r.wrong(field, "must be a string")
		return "", false
	}
	return s, s != ""
}

// clock reads a time of day.
func (r *reader) clock(field string, v json.RawMessage, otherwise int) int {
	s, ok := r.optional(field, v)
	if !ok {
		return otherwise
	}
	hours, minutes, found := strings.Cut(s, ":")
	if !found && !r.strict {
		minutes = "00" // the original server took the hour alone
	}
	if len(hours) == 1 && !r.strict {
		hours = "0" + hours
	}
	h, m := twoDigits(hours), twoDigits(minutes)
	if h < 0 || h > 23 || m < 0 || m > 59 {
		r.wrong(field, "must be a time of day such as 22:00")
		return otherwise
	}
	return h*60 + m
}

// twoDigits is -1 for what is something else.
func twoDigits(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || len(s) != 2 || s[0] < '0' || s[0] > '9' {
		return -1
	}
	return n
}

func (r *reader) zone(field string, v json.RawMessage) *time.Location {
	s, ok := r.optional(field, v)
	if !ok {
		return time.UTC
	}
	if zone, read := zones.Load(s); read {
		return zone.(*time.Location)
	}
	zone, err := time.LoadLocation(s)
	if err != nil || len(s) > maxZone || s == "Local" || !zoneName.MatchString(s) {
		r.wrong(field, "must be the name of a time zone such as Europe/Berlin")
		return time.UTC
	}
	zones.Store(strings.Clone(s), zone)
	return zone
}

// zoneName is the form of the names. A name is looked for among files too, where the same one could be spelled in
// many ways ("Europe//Berlin"), which another machine has no file for.
var zoneName = regexp.MustCompile(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$`)

// zones are those that were read before, since that opens a file. There are only as many as have a name.
var zones sync.Map
