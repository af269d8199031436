package engine

import (
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/notify"
	notification "github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

const (
	// partOfRound is of how many executors an event is told at once, and about how many attempts that makes. Those of
	// an exchange with more are told in several rounds.
	partOfRound = 512
	// guestReaders is how many profiles are read at once.
	guestReaders = 16
)

// content is what an event says, and to whom it is still of use.
type content struct {
	ref      string
	priority string
	at       time.Time // of the event
	telling  notify.Telling
}

// job is a delivery that this process makes.
type job struct {
	executor string
	name     string // display name
	way      notify.Way
	entry    notification.Entry
	attempts int  // that have failed
	recorded bool // the outbox knows that it is to be made

	guest *guest
}

func (j *job) address() address { return address{j.executor, j.way.String()} }

// guest is an executor who may be told something now.
type guest struct {
	executor *exchange.Executor // as it is now; nil for one who has left
	settings notification.Settings
	claimURL string
	err      error // of reading the profile
}

// scene is what the state says about an event that is due.
type scene struct {
	content
	notices  []notify.Notice // of those who are told a first time now
	at       map[string]int  // the places of their executors
	end      int             // told is this after them
	tries    []exchange.Try
	guests   map[string]*guest
	standing bool
	closed   bool
}

// begin makes the first attempts of an event and the tries that are due, as far as there is room. False: there is no
// more, for this or others.
func (t *teller) begin(u *exchange.Undelivered) bool {
	tl := t.tellings[u.Event]
	if tl == nil {
		tl = &telling{event: u.Event, told: u.Told, under: map[address]*job{}}
	}
	s := t.scene(u, tl)
	tl.content = s.content
	if len(s.tries) == 0 && s.end == tl.told {
		tl.rest = time.Now().Add(lookAgain) // what is due of it is under way
		t.tellings[u.Event] = tl
		return true
	}
	room := t.x.engine.tellers.room.take(min(partOfRound, maxTelling-t.under))
	p := plan{teller: t, scene: s, room: room, now: t.x.engine.store.Now(), telling: tl}
	p.read()
	p.first()
	p.again()
	t.x.engine.tellers.room.give(room - len(p.jobs))
	t.under += len(p.jobs)
	if tl.unrecorded() || len(p.jobs) > 0 {
		t.tellings[u.Event] = tl
	}
	full := false
	for _, j := range p.jobs {
		tl.under[j.address()] = j
		full = !t.send(tl, j) || full
	}
	if p.err != nil {
		t.failed("a profile could not be read", p.err)
	}
	return p.err == nil && !p.short && !full
}

// scene looks at all that the state has to say, once.
func (t *teller) scene(u *exchange.Undelivered, tl *telling) *scene {
	m := t.x.machine
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := t.x.engine.store.Now()
	s := &scene{guests: map[string]*guest{}, at: map[string]int{}, end: min(u.Executors, tl.told+partOfRound)}
	s.standing, s.closed = m.state.Standing(u), m.state.ClosedSince(u)
	part := partRoll{Roll: m.state.Roll(u)}
	if tl.told < s.end {
		all, i := part.Roll.(*exchange.Roll).Executors(), 0
		for place, id := range m.state.TakenIDs()[:s.end] {
			if i < len(all) && all[i].ID == id {
				if place >= tl.told && mayHear(all[i]) {
					part.executors, s.at[id] = append(part.executors, all[i]), place
				}
				i++
			}
		}
	}
	change := notify.Change{Type: notify.StatusChanged, Actor: u.Actor, Before: u.Before, After: u.After}
	if u.Created {
		change.Type = notify.ThreadCreated
	}
	told := notify.Tell(change, part)
	s.notices, told.Notices = told.Notices, nil
	s.content = content{ref: u.After.Ref, priority: u.After.Priority, at: u.After.UpdatedAt, telling: told}
	for _, try := range u.Tries {
		if try.Next.After(now) || len(s.tries) == partOfRound {
			break // they are in the order of that
		}
		if tl.under[address{try.Executor, try.Way}] == nil {
			s.tries = append(s.tries, try)
			s.invite(m.state, try.Executor)
		}
	}
	for _, n := range s.notices {
		s.invite(m.state, n.Executor)
	}
	return s
}

// mayHear reports whether an executor may have channels or hooks.
func mayHear(e *exchange.Executor) bool {
	return !e.Notify.Known || e.Notify.Channels || e.Notify.Hooks
}

func (s *scene) invite(state *exchange.State, id string) {
	executor, _ := state.Executor(id)
	s.guests[id] = &guest{executor: executor}
}

// partRoll is a roll with some of its executors.
type partRoll struct {
	notify.Roll
	executors []*exchange.Executor
}

// Executors implements notify.Roll.
func (r partRoll) Executors() []*exchange.Executor { return r.executors }

// plan is what becomes of a scene: jobs to be sent, and outcomes without any.
type plan struct {
	*scene
	teller  *teller
	telling *telling
	now     time.Time
	room    int
	jobs    []*job
	short   bool  // of room
	err     error // the first of reading profiles
}

// read reads the profiles of all guests.
func (p *plan) read() {
	x := p.teller.x
	var readers errgroup.Group
	readers.SetLimit(guestReaders)
	links := p.content.telling.Notification.Type == notify.ThreadCreated && x.engine.notify.PublicURL != ""
	for _, g := range p.guests {
		if g.executor == nil {
			continue
		}
		if !links {
			if kept, ok := x.engine.tellers.cache.get(executorName{x.id, g.executor.ID}, g.executor); ok {
				g.settings = kept
				continue
			}
		}
		readers.Go(func() error {
			g.settings, g.err = x.settingsOf(x.engine.life, g.executor)
			if g.err == nil && links && len(g.settings.Channels) > 0 {
				g.claimURL, g.err = x.claimURL(x.engine.life, g.executor, p.ref, p.content.at)
			}
			return nil
		})
	}
	_ = readers.Wait() // its functions return nil
}

// first plans the first attempts, one executor after the other.
func (p *plan) first() {
	told := p.telling.told
	for _, n := range p.notices {
		g := p.guests[n.Executor]
		if g.err != nil {
			p.err = g.err
			break
		}
		if g.executor != nil && !p.invite(n, g) {
			p.short = true
			break
		}
		told = p.at[n.Executor] + 1
	}
	if p.err == nil && !p.short {
		told = p.end
	}
	if told > p.telling.told {
		if !p.telling.unrecorded() {
			p.telling.first = time.Now()
		}
		p.telling.told, p.telling.advanced = told, true
	}
}

// invite plans the attempts that a notice makes, or none of them where there is no room.
func (p *plan) invite(n notify.Notice, g *guest) bool {
	var all []*job
	add := func(way notify.Way, e notification.Entry) *job {
		j := &job{executor: n.Executor, name: n.Name, way: way, entry: e, guest: g}
		all = append(all, j)
		return j
	}
	decision := g.settings.Preferences.Decide(p.priority, p.now)
	if n.Tell && decision.Verdict == notification.Now {
		for _, e := range g.settings.Channels {
			add(notify.Way{Index: e.Index, Type: e.Type}, e)
		}
	}
	if n.Moment != "" {
		for _, e := range g.settings.Hooks[n.Moment] {
			add(notify.Way{Moment: n.Moment, Index: e.Index, Type: e.Type}, e)
		}
	}
	if len(p.jobs)+len(all) > p.room {
		return false
	}
	p.jobs = append(p.jobs, all...)
	if n.Tell && decision.Verdict == notification.Later {
		for _, e := range g.settings.Channels {
			j := &job{executor: n.Executor, way: notify.Way{Index: e.Index, Type: e.Type}}
			p.telling.add(j, exchange.Outcome{Outcome: exchange.OutcomeDeferred, Reason: decision.Reason, Next: decision.At})
		}
	}
	return true
}

// again plans what is to be tried again.
func (p *plan) again() {
	for _, try := range p.tries {
		g := p.guests[try.Executor]
		if g.err != nil {
			p.err = g.err
			continue
		}
		j := &job{executor: try.Executor, attempts: try.Attempts, guest: g, recorded: true}
		o := exchange.Outcome{Attempt: try.Attempts, Outcome: exchange.OutcomeDropped}
		var known bool
		if g.executor != nil {
			j.name = g.executor.DisplayName
			j.way, j.entry, known = wayNamed(g.settings, try.Way)
		}
		isChannel := j.way.Moment == ""
		decision := g.settings.Preferences.Decide(p.priority, p.now)
		switch {
		case g.executor == nil:
			o.Reason = hasLeft
		case !known:
			o.Reason = isOff
		case p.closed:
			o.Reason = isClosed
		case isChannel && try.Attempts == 0 && !p.standing:
			o.Reason = waitsNoMore
		case isChannel && decision.Verdict == notification.Never:
			o.Reason = decision.Reason
		case isChannel && decision.Verdict == notification.Later:
			o.Outcome, o.Reason, o.Next = exchange.OutcomeDeferred, decision.Reason, decision.At
		case len(p.jobs) == p.room:
			p.short = true
			return
		default:
			p.jobs = append(p.jobs, j)
			continue
		}
		p.telling.add(j, o)
		if !known {
			p.telling.outcomes[len(p.telling.outcomes)-1].Way = try.Way
		}
	}
}

// wayNamed finds a channel or hook by the name of its way. One whose type has changed is another.
func wayNamed(s notification.Settings, name string) (notify.Way, notification.Entry, bool) {
	for _, e := range s.Channels {
		if w := (notify.Way{Index: e.Index, Type: e.Type}); w.String() == name {
			return w, e, true
		}
	}
	for _, m := range notify.Moments {
		for _, e := range s.Hooks[m] {
			if w := (notify.Way{Moment: m, Index: e.Index, Type: e.Type}); w.String() == name {
				return w, e, true
			}
		}
	}
	return notify.Way{}, notification.Entry{}, false
}
