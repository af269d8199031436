package simulation

// mutant is the log or the engine with one rule of docs/storage.md broken.
type mutant struct {
	name  string
	edits []edit
}

// edit replaces a text that stands once in a file of internal.
type edit struct{ file, old, new string }

const (
	fenceFile   = "eventlog/fence.go"
	followFile  = "eventlog/follow.go"
	commitFile  = "eventlog/commit.go"
	compactFile = "eventlog/compact.go"
	readFile    = "eventlog/read.go"
	replayFile  = "eventlog/replay.go"
	submitFile  = "eventlog/submit.go"
	onceFile    = "exchange/once.go"
)

// Pieces of more than one mutant.
var (
	noAge   = edit{fenceFile, "fresh := !l.open.IsZero() && !date.IsZero() && date.Sub(l.open) <= fenceAfter", "fresh := true"}
	noGrace = edit{compactFile, "closing.date.Sub(closing.mod) > mergeAfter", "closing.date.Sub(closing.mod) >= 0"}
)

var mutants = []mutant{
	{"reads don't check the head", []edit{
		{followFile, "err != nil || !l.store.Shared() {", "err != nil || l.store.Shared() {"},
	}},

	// The fence.
	{"no age check: no fence at all", []edit{noAge}},
	{"the age is that of the request, by its own clock, not of the answer", []edit{
		{followFile, "		o, err := read(ctx, l.store, l.exchange, p, readTimeout)", "		asked := l.store.Now()\n		o, err := read(ctx, l.store, l.exchange, p, readTimeout)\n		o.date = asked"},
		{commitFile, "	ctx, date := store.Dated(ctx)\n", "	asked := store.Now()\n"},
		{commitFile, "	return date(), nil", "	return asked, nil"},
		{commitFile, "	o, err := read(l.ctx, l.store, l.exchange, d.object.place, readTimeout)", "	asked := l.store.Now()\n	o, err := read(l.ctx, l.store, l.exchange, d.object.place, readTimeout)\n	o.date = asked"},
	}},
	{"no grace: a day is merged as soon as it is closed", []edit{noGrace}},
	{"no grace and no age check", []edit{noGrace, noAge}},
	{"the age of the proof by the process's own clock, which stands still in a suspend", []edit{
		{fenceFile, "fresh := !l.open.IsZero() && !date.IsZero() && date.Sub(l.open) <= fenceAfter", "fresh := !l.open.IsZero() && time.Since(l.open) <= fenceAfter"},
		{fenceFile, "	if date.After(l.open) {\n		l.open = date\n	}", "	l.open = time.Now()"},
	}},
	{"an object that is found proves the day open", []edit{
		{followFile, "		case err == nil:\n", "		case err == nil:\n			l.mu.Lock()\n			l.provedOpen(o.date)\n			l.mu.Unlock()\n"},
	}},
	{"objects that are found are not fenced", []edit{
		{followFile, "		if err == nil || free {", "		if free {"},
		{commitFile, "	if settled, err := l.fenced(d, o); settled || err != nil {\n		return settled, err\n	}\n", ""},
	}},
	{"a commit of ours that was created is not fenced", []edit{
		{commitFile, "	if settled, err := l.fenced(d, d.object); settled || err != nil {\n		return settled, err\n	}\n", ""},
	}},
	{"the fence compares versions, the first of which is fetched when it is needed", []edit{
		{fenceFile, "	case o.last() < p.seq:\n		return nil\n	}\n", "	case unchanged(l, first.key, o.data):\n		return nil\n	}\n"},
		{fenceFile, "// provedOpen notes", `var fetchedFirst sync.Map

func unchanged(l *Log, key string, data []byte) bool {
	was, ok := fetchedFirst.LoadOrStore(fmt.Sprintf("%p %s", l, key), string(data))
	return !ok || was == string(data)
}

// provedOpen notes`},
		{fenceFile, "	\"time\"\n", "	\"sync\"\n	\"time\"\n"},
	}},

	// Starts and reads.
	{"a start takes what it read for the log, though the day was merged meanwhile", []edit{
		{replayFile, "		if p.seq != l.head.dayFirst && (free || o.closes() || len(today) == 0) {", "		if false {"},
	}},
	{"a start from a snapshot takes it for the head, and for a proof that the day is open", []edit{
		{replayFile, "	return l.walkToHead(ctx, l.fetchBehind(ctx))", "	l.open = l.store.Now()\n	return nil"},
	}},
	{"a start reads what a listing shows and skips the seqs it has", []edit{
		{replayFile, "	var today []Event // the", `	for _, p := range slices.Clone(ahead.todo) {
		o, err := read(ctx, l.store, l.exchange, p.place, replayTimeout)
		if errors.Is(err, errAbsent) || err == nil && o.first() > l.head.next {
			continue
		}
		if err != nil {
			return err
		}
		l.mu.Lock()
		_, err = l.apply(o)
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
	var today []Event // the`},
		{replayFile, "	\"fmt\"\n", "	\"fmt\"\n	\"slices\"\n"},
		{"eventlog/log.go", "	if o.day != h.day || o.first() > h.next || (o.first() < h.next && o.first() != h.dayFirst) {", "	if o.first() > h.next {"},
	}},
	{"a cut read is taken for the object", []edit{
		{readFile, "	if _, err := io.ReadFull(r, c.data); err != nil {", `	if n, err := io.ReadFull(r, c.data); err != nil && n > 0 {
		c.data = c.data[:n]
		return c, nil
	} else if err != nil {`},
	}},
	{"a reader joins a check that began before it came", []edit{
		{followFile, "	c := l.waiting\n	l.mu.Unlock()", "	c := l.running\n	l.mu.Unlock()"},
	}},
	{"any error at the next position means that it is free", []edit{
		{followFile, "		free := errors.Is(err, errAbsent)", "		free := err != nil && !errors.Is(err, errCorrupt)"},
	}},

	// Commits.
	{"a 412 means lost", []edit{{commitFile, "		case l.store.Fatal(err):", `		case l.store.Exists(err):
			if o, rerr := read(l.ctx, l.store, l.exchange, d.object.place, readTimeout); rerr == nil && l.meet(o) == nil {
				return errLost
			}
			return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
		case l.store.Fatal(err):`}}},
	{"a create overwrites what is there", []edit{
		{"eventlog/schema.go", "IfNotExist:                  true", "IfNotExist:                  false"},
	}},
	{"what is unknown is not read back but decided again", []edit{
		{commitFile, "		unknown = true\n", "		if unknown = true; err != nil && !l.store.Exists(err) {\n			return errLost\n		}\n"},
	}},
	{"what is unknown and not there is decided again", []edit{
		{commitFile, "	case err != nil:\n		return false, err\n	}\n	if settled, err := l.fenced(d, o)", "	case errors.Is(err, errAbsent):\n		return true, errLost\n	case err != nil:\n		return false, err\n	}\n	if settled, err := l.fenced(d, o)"},
	}},
	{"an unknown outcome is called not stored", []edit{
		{commitFile, `return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)`, `return fmt.Errorf("%w: %w", ErrUnavailable, err)`},
	}},
	{"a refusal after an unknown attempt is called definite", []edit{
		{commitFile, "l.store.Definite(err) && !unknown:", "l.store.Definite(err) && (unknown || true):"},
	}},
	{"after a lost race the old decision is written at the next position", []edit{
		{commitFile, "l.encode(p.cmd.Decide(state, now), d, now)", "l.encode(once(p, state, now), d, now)"},
		{commitFile, "// close turns the decision", `var (
	guard   sync.Mutex
	decided = map[*pending][]Draft{}
)

func once(p *pending, state Tentative, now time.Time) []Draft {
	guard.Lock()
	defer guard.Unlock()
	if len(decided[p]) == 0 {
		decided[p] = p.cmd.Decide(state, now)
	}
	return decided[p]
}

// close turns the decision`},
		{commitFile, "	\"time\"\n", "	\"sync\"\n	\"time\"\n"},
	}},
	{"no day_closed: each writer has its own day", []edit{
		{commitFile, "		d.close(l, next, now)\n", "		l.head.day, l.head.dayFirst = next, l.head.next\n		d.object.place = l.head.place(l.exchange)\n"},
	}},
	{"genesis has the day of whoever opens the exchange", []edit{
		{"eventlog/genesis.go", "	p := place{day: genesisDay, seq: 0, key: genesisKey(exchange)}", "	p := place{day: dayOf(store.Now()), seq: 0, key: positionKey(exchange, dayOf(store.Now()), 0)}"},
		{"eventlog/genesis.go", "putOnce(ctx, store, genesisKey(exchange), data)", "putOnce(ctx, store, positionKey(exchange, dayOf(store.Now()), 0), data)"},
	}},

	// Refusals.
	{"refusals are answered from memory", []edit{
		{submitFile, "	if !l.store.Shared() {\n		return nil", "	if l.store.Shared() {\n		return nil"},
	}},
	{"refusals are answered from a state that is not durable yet", []edit{
		{commitFile, "		if err != nil {\n			p.result <- err\n			continue\n		}\n", "		if err != nil || len(events) == 0 {\n			p.result <- err\n			continue\n		}\n"},
	}},
	{"an unknown key is refused from memory", []edit{
		{"engine/auth.go", "	if !ok || foreign {\n", "	if foreign {\n"},
	}},

	// Idempotency keys.
	{"a key is not committed with its command", []edit{
		{onceFile, "	return append(drafts, note), refusal\n", "	_ = note\n	return drafts, refusal\n"},
	}},
	{"a key of a refused command is not committed", []edit{
		{onceFile, "status = RecordedStatus(refusal.Code); status == 0 {", "status = RecordedStatus(refusal.Code); status >= 0 {"},
	}},
	{"a snapshot is without the keys", []edit{
		{"exchange/answersencode.go", "			t.answers.add(a)\n", "			_ = a\n"},
	}},
	{"a key lives for an hour", []edit{
		{onceFile, "KeyLife = 24 * time.Hour", "KeyLife = time.Hour"},
	}},

	// Merges.
	{"the age of a day by the ts of its last event", []edit{
		{compactFile, "closing.date.Sub(closing.mod) > mergeAfter", "closing.date.Sub(closing.events[len(closing.events)-1].TS) > mergeAfter"},
	}},
	{"the age of a day by the clock of whoever merges", []edit{
		{compactFile, "func ripe(closing object)", "func ripe(store Store, closing object)"},
		{compactFile, "!ripe(last)", "!ripe(m.store, last)"},
		{compactFile, "!ripe(end)", "!ripe(m.store, end)"},
		{compactFile, "closing.date.Sub(closing.mod) > mergeAfter", "store.Now().Sub(closing.mod) > mergeAfter"},
	}},
	{"a merge takes what it finds of the listing", []edit{
		{compactFile, "whole, err = m.chain(ctx, first)", "whole, err = m.listing(ctx, first)"},
		{compactFile, "// follows makes sure", `func (m merger) listing(ctx context.Context, first object) (object, error) {
	whole, last := first, first
	for _, p := range m.positions[1:] {
		o, err := m.read(ctx, p.place)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return object{}, err
		}
		whole.data, whole.events, last = slices.Concat(whole.data, o.data), slices.Concat(whole.events, o.events), o
	}
	if !ripe(last) {
		return object{}, nil
	}
	return whole, nil
}

// follows makes sure`},
	}},
	{"a merge skips the seqs it has and does not look how the day ends", []edit{
		{compactFile, "whole, err = m.chain(ctx, first)", "whole, err = m.listing(ctx, first)"},
		{compactFile, "// follows makes sure", `func (m merger) listing(ctx context.Context, first object) (object, error) {
	whole, last := first, first
	for _, p := range m.positions[1:] {
		o, err := m.read(ctx, p.place)
		if err != nil {
			return object{}, reasonToKeep(err)
		}
		last = o
		for i, line := range bytes.SplitAfter(bytes.TrimSuffix(o.data, []byte("\n")), []byte("\n")) {
			if o.events[i].Seq == whole.last()+1 {
				whole.data = append(slices.Concat(whole.data, bytes.TrimSuffix(line, []byte("\n"))), '\n')
				whole.events = append(slices.Clone(whole.events), o.events[i])
			}
		}
	}
	if !last.closes() || !ripe(last) {
		return object{}, nil
	}
	return whole, nil
}

// follows makes sure`},
	}},
	{"a merge deletes before it overwrites", []edit{
		{compactFile, "		if err := overwrite(", "		if err := deleteAll(ctx, m.store, m.positions[1:]); err != nil {\n			return MergedDay{}, err\n		}\n		if err := overwrite("},
	}},
	{"a merge deletes the first object too", []edit{
		{compactFile, "return p.seq <= first.seq || p.seq > whole.last()", "return p.seq < first.seq || p.seq > whole.last()"},
	}},

	// What the scheduler itself rests on.
	{"a lock is held across a call of the store", []edit{
		{fenceFile, "	o, err := read(ctx, l.store, l.exchange, first, readTimeout)\n", "	l.mu.Lock()\n	o, err := read(ctx, l.store, l.exchange, first, readTimeout)\n	l.mu.Unlock()\n"},
	}},
}
