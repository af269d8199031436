package exchange

import "time"

// Fork returns a state that starts as s and can be changed without changing s, at a cost that does
// not depend on the size of s. s must not change while the fork is in use.
func (s *State) Fork() *State {
	return &State{base: s, readOnly: s.readOnly}
}

// overlay is what a fork changed. A fork lives for a batch of commands and is small, so it holds
// threads as they are shown. Its maps are made when they are first needed, because most forks change
// little.
type overlay struct {
	places  map[string]int // by ref: where in list it is
	list    []placed       // in the order of changes; one that was changed again has no Ref here any more
	said    map[string][]At
	terms   map[string]*Terms // nil where they were removed; the thread is in list
	seen    map[string]time.Time
	answers map[forkedKey]answer
	rounds  map[int64]int64 // of deliveries, by the seq of the event
	lease   *Lease          // nil for none
}

// placed is a thread with its place in the order of updates.
type placed struct {
	Thread
	place int64
}

func (o *overlay) thread(ref string) (Thread, bool) {
	i, ok := o.places[ref]
	if !ok {
		return Thread{}, false
	}
	return o.list[i].Thread, true
}

func (o *overlay) has(ref string) bool {
	_, ok := o.places[ref]
	return ok
}

// put makes t the newest thread, at that place.
func (o *overlay) put(t Thread, place int64) {
	if o.places == nil {
		o.places = map[string]int{}
	}
	if i, ok := o.places[t.Ref]; ok {
		o.list[i] = placed{}
	}
	o.places[t.Ref] = len(o.list)
	t.Seq = max(place, 0)
	o.list = append(o.list, placed{t, place})
}

func (o *overlay) say(ref string, at At) {
	if o.said == nil {
		o.said = map[string][]At{}
	}
	o.said[ref] = append(o.said[ref], at)
}

// setTerms replaces the terms of a thread that has been put.
func (o *overlay) setTerms(ref string, t *Terms) {
	if o.terms == nil {
		o.terms = map[string]*Terms{}
	}
	o.terms[ref] = t
}

func (o *overlay) see(actor string, ts time.Time) {
	if o.seen == nil {
		o.seen = map[string]time.Time{}
	}
	o.seen[actor] = ts
}
