// Package engine runs all the exchanges of one store. It is what every way into the server (HTTP
// first) calls, and the only package that joins the rules (internal/exchange) with the log
// (internal/eventlog).
//
// # The way of a change
//
// A command is decided on a tentative state, committed by the log, applied to the exchange's state
// and only then answered. The engine adds what the pure rules can't have: candidates for new refs,
// API keys, the profile objects, who is calling.
//
// # Invariants
//
//   - Reads and refusals are of the head (docs/storage.md, rules 10 and 11). A read brings the state
//     to the head first (a no-op where nobody else can write), then looks whether the caller's key
//     still holds, then reads. Refusals of commands are the log's business: it answers none that was
//     decided on a state not proved to be the head. Nothing is ever computed from an undecided state.
//   - The log is the arbiter of who is an executor and which key is his; the profile object holds his
//     private settings, and nothing else reads it. So authentication is a map lookup.
//   - Who has an answer already is told so on the same terms as who gets it: at the head, with a key that holds
//     (ListUnless, ThreadUnless).
//   - A key is replaced, and an executor leaves, with one commit. What follows it (the profile object) may fail
//     or be cut off: nothing depends on it, and it never keeps back an answer for long (afterwards).
//   - Settings are shown to their owner only, and masked (mask.go).
//   - An exchange is opened once, whoever asks for it first; the open belongs to the engine, so that a
//     visitor who goes away does not undo it for the others.
//   - Every call but Wait, AwaitThread, Follow and TestNotifications (testTime) is answered within ten seconds, however the storage fails
//     (answerTime): what it waits for goes on without it. Calls with media have partTime more, and a second for each megabyte; an
//     upload lasts as long as its content does.
//   - Large media are taken out of a message before it is committed, stored under keys that nobody had, and put back
//     on reading (takeout.go, media.go). They are never held in memory but as the body of the call that brought
//     them. What no event names is collected, judged by a state that was proved to be the head after it was listed
//     (collect.go).
//   - Ready says yes only on evidence of at most a second ago: that a change was stored, by the newest
//     commit or else by a trial that all who ask share (ready.go). A failed commit is evidence too, and
//     sooner. So it costs the store at most one trial a second, and nothing under load or where nobody
//     asks. A trial must need what a commit needs: it writes, since a full or read-only store still
//     reads. On a shared store it creates the schema object, which is there: that leaves nothing behind in
//     a bucket that keeps versions, and after a failure, where it could pass on a full store, it overwrites
//     an object under snapshots/-probe/, as it always does elsewhere.
//   - Memory holds summaries of all threads of the open exchanges, and the messages of those written or read
//     last, up to maxBodies (bodies.go). Other messages are read from the log by their place in it. An exchange
//     that nobody uses is put away (residence.go); it is never open twice. What is out of memory costs a
//     read, and changes no answer.
//   - A thread expires within a second of its needed_by though nobody asks, at any replica that lives: each
//     keeps the next deadline of each exchange that has such a thread, and one timer for the earliest (agenda.go).
//     The event alone expires it.
//   - Where no timer may be kept (Options.Wake), the engine has none: it tells when something is due and does it when
//     RunDue is called. Whoever calls it has either told of a time to come or a call that waits for what is under way, so
//     that nothing is forgotten with the process; a timer of its own begins the same things and waits for none.
//   - An import stores the files of its threads before the event that names them, and nothing of what the
//     rules would refuse. An export reads the thread's events and what is kept beside them, all of it or it
//     is an error.
//   - Executors are told of events from the outbox of the state (outbox.go), never on the way of a call. Each event is told
//     at least once to everybody it concerns, under an id that is the same for every attempt, at every replica and after
//     a crash (notify.DeliveryID); what came of it is in the log. So that it is rarely told twice, one process holds
//     the exchange's lease (lease.go), rounds are numbered, and what is under way is recorded as to be made again and
//     known here as under way (rounds.go). Losing the lease in the middle costs a repetition, never a notification.
//   - Nothing is begun while maxTelling attempts of an exchange, or maxTellingAll of all, are under way, and what the
//     sender has no room for is put off. So receivers that hang take bounded memory, and make no call slower.
//   - A channel or hook whose receiver answers 410 is turned off in its owner's profile (disable.go), and on when it is
//     set again. No URL, topic or token is in an event or a line of the log.
//   - A snapshot is written where nobody waits for it (upkeep.go). Losing one costs a longer start.
//   - An exchange id that nobody has registered leaves nothing in memory after its refusal.
//   - After Options.Fatal has been called nothing that could be wrong is answered: calls that met the
//     failure return when their context ends, not before.
//
// # Goroutines
//
// All belong to an Engine and end with Close:
//
//   - one opener after Start, with at most openers opens at a time; ends when every exchange is open;
//   - one per exchange that is being opened, bounded by openers, lookupSlots and the calls in progress;
//   - one follower per exchange on a shared store, while someone waits for it (follow.go);
//   - one trial of the storage, for at most trialTime, while someone waits for it (ready.go);
//   - one that merges closed days, one exchange at a time, some minutes after Start and then once a day
//     (compact.go);
//   - on a shared store, one that looks what other replicas did, some exchanges at a time (watch.go);
//   - one while a deadline has come, and one per exchange that has such a one, until what is due is stored
//     (agenda.go, deadlines.go); the timer is ended first by Close;
//   - one per exchange that has something to tell, or holds a lease that others wait for, until nothing is due, under way
//     or unrecorded (outbox.go); its timer is ended first by Close. The sender's callbacks leave their outcome and
//     wake it;
//   - one that writes snapshots that are due and puts exchanges away, one at a time (upkeep.go);
//   - one per exchange that is being put away, for at most closeTime;
//   - those of the logs, see internal/eventlog.
//
// With Options.Wake those that merge, look and write snapshots are missing: TidySome and Upkeep are called instead,
// snapshots are due like deadlines (saveSoon), and there is nobody else to look at. The follower of an exchange, and those
// that begin and end with what RunDue or a call does, are as elsewhere.
//
// A waiter costs its caller's goroutine and nothing else. One who waits for a thread (waits.go) is woken by its
// events alone; those who follow an exchange (events.go) share what is encoded for them (feed.go), and none of
// them can hold up another, or a commit: they take events when they can. They end with their key, and with
// ReleaseWaiters before a server stops. An exchange that somebody waits for is in use, and stays open.
package engine
