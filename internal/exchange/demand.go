package exchange

import (
	"encoding/binary"
	"slices"
)

// demands holds the pending threads that are nobody's, by what they demand of who claims them: what one can
// do, whom they are reserved for, and whether something else must come first. There are few different demands,
// so what one executor could claim is found without looking at what others could.
type demands struct {
	none     chain
	byText   map[string]*demand
	byAnchor map[string][]*demand
	reserved map[string]int // by whom they are reserved for: how many demands
}

// demand is one that differs from all others.
type demand struct {
	chain
	requires []string // sorted
	anchor   string
}

// A demand is filed under one thing without which nobody meets it, its anchor: whom it is reserved for, or one
// of the capabilities; under "" where it has neither. Of several capabilities it is the one with the fewest
// demands, so that words that many can do lead to few demands that they can't meet.
const (
	anchorReserved   = "r"
	anchorCapability = "c"
)

// mostDemands bounds how many demands are looked at for one list. Where a caller could meet more of them, the
// list goes through all pending threads.
const mostDemands = 1000

// demand returns a text that is the same for the same demand, "" where there is none.
func (t *Terms) demand() string {
	if t == nil || len(t.Requires) == 0 && t.ReservedFor == "" && !t.waits() {
		return ""
	}
	b := binary.AppendUvarint(nil, uint64(len(t.ReservedFor)))
	b = append(b, t.ReservedFor...)
	if t.waits() {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, c := range sorted(t.Requires) {
		b = append(binary.AppendUvarint(b, uint64(len(c))), c...)
	}
	return string(b)
}

// waits reports whether a claim may have to wait for a time or for another thread.
func (t *Terms) waits() bool { return !t.NotBefore.IsZero() || len(t.DependsOn) > 0 }

func sorted(all []string) []string {
	s := slices.Clone(all)
	slices.Sort(s)
	return slices.Compact(s)
}

// of returns the list of the threads with the demand of these terms.
func (d *demands) of(t *Terms) *chain {
	text := t.demand()
	if text == "" {
		return &d.none
	}
	if one, known := d.byText[text]; known {
		return &one.chain
	}
	if d.byText == nil {
		d.byText, d.byAnchor, d.reserved = map[string]*demand{}, map[string][]*demand{}, map[string]int{}
	}
	one := &demand{requires: sorted(t.Requires), anchor: d.anchor(t)}
	d.byText[text] = one
	d.byAnchor[one.anchor] = append(d.byAnchor[one.anchor], one)
	if t.ReservedFor != "" {
		d.reserved[t.ReservedFor]++
	}
	return &one.chain
}

func (d *demands) anchor(t *Terms) string {
	if t.ReservedFor != "" {
		return anchorReserved + t.ReservedFor
	}
	var best string
	for _, c := range t.Requires {
		if a := anchorCapability + c; best == "" || len(d.byAnchor[a]) < len(d.byAnchor[best]) {
			best = a
		}
	}
	return best
}

// tidy forgets the demand of these terms where no thread has it any more.
func (d *demands) tidy(t *Terms) {
	text := t.demand()
	one := d.byText[text]
	if one == nil || one.count > 0 {
		return
	}
	delete(d.byText, text)
	left := d.byAnchor[one.anchor]
	i := slices.Index(left, one)
	left[i], left[len(left)-1] = left[len(left)-1], nil
	if left = left[:len(left)-1]; len(left) == 0 {
		delete(d.byAnchor, one.anchor)
	} else {
		d.byAnchor[one.anchor] = left
	}
	if t.ReservedFor != "" {
		if d.reserved[t.ReservedFor]--; d.reserved[t.ReservedFor] == 0 {
			delete(d.reserved, t.ReservedFor)
		}
	}
	if len(d.byText) == 0 { // maps don't shrink by themselves
		d.byText, d.byAnchor, d.reserved = nil, nil, nil
	}
}

// met returns the lists of all threads whose demand an executor meets, as far as that does not change with
// time; false where more than mostDemands would have to be looked at. there tells who is in the exchange: what
// is reserved for nobody who is can be anyone's.
func (d *demands) met(e *Executor, there func(id string) bool) (met []*chain, ok bool) {
	met = append(met, &d.none)
	looked := 0
	look := func(anchor string) bool {
		looked += 1 + len(d.byAnchor[anchor])
		if looked > mostDemands {
			return false
		}
		for _, one := range d.byAnchor[anchor] {
			if e.hasAll(one.requires) {
				met = append(met, &one.chain)
			}
		}
		return true
	}
	if len(d.byText) == 0 {
		return met, true
	}
	if !look("") || !look(anchorReserved+e.ID) {
		return nil, false
	}
	for id := range d.reserved {
		if looked++; id != e.ID && !there(id) && !look(anchorReserved+id) || looked > mostDemands {
			return nil, false
		}
	}
	if len(e.Capabilities) <= len(d.byAnchor) {
		return met, e.eachCapability(func(c string) bool { return look(anchorCapability + c) })
	}
	for anchor := range d.byAnchor {
		if looked++; looked > mostDemands {
			return nil, false
		}
		if c, is := cutAnchor(anchor); is && e.has(c) && !look(anchor) {
			return nil, false
		}
	}
	return met, true
}

// cutAnchor returns the capability that an anchor is.
func cutAnchor(anchor string) (capability string, ok bool) {
	if len(anchor) > 0 && anchor[:1] == anchorCapability {
		return anchor[1:], true
	}
	return "", false
}
