// Package exchange holds the rules of an exchange, and nothing else: who may do what to which
// thread, which events say so, and what those events add up to.
//
//	Decide(state, command, now) → events, or a refusal (with the events of what has come due), or nothing to change
//	Apply(state, event)         → state
//
// It is pure. It imports the standard library only, and from it nothing that reads a clock, takes a
// lock, logs or opens anything (a test holds this); a snapshot is written to and read from what the
// caller hands in. The time, the actor and the candidates for new names arrive with the command, so the
// same log gives the same state in every replica, at every start and in every test. The only random
// number is the seed of a hash table, whose order nothing shows.
//
// # What must stay true
//
//   - A State is the fold of its events in the order of the log. Nothing but Apply changes it, and
//     Decide never relies on the events it has just returned.
//   - A Thread is handed out by value, and a *Executor handed out never changes afterwards: Apply
//     replaces it by a changed copy. So readers keep what they got without a lock while the log goes on.
//   - A Fork costs the same whatever the size of the state, sees everything of its base and leaves
//     no trace in it.
//   - Events come with a time that never goes back (docs/storage.md, rule 8). A changed thread
//     therefore is always the newest, lists are kept in order by moving it to the front, and a page of
//     one costs what it looks at, which is bounded.
//   - What a list is of, each thread is asked itself (query.wants). Which lists it is in only saves asking the
//     others.
//   - The state knows of a message only where the log keeps it. No rule reads what one says after it
//     was decided on, but for the request in the first message of a thread, from which its terms are taken.
//   - Only an event changes a thread. A query never takes a thread for expired because of the time; what is
//     decided about one that is due commits its expiry first (situation).
//   - An import is one event for each thread, whatever happened to it elsewhere. Its messages share that
//     event's place, so it costs one record of a message. It was updated when it came in: the times in its
//     file, which may be any, never put a list out of order.
//   - Refs are never reused: a thread, once there, is never removed. Ids of executors neither: of one who
//     was removed the state keeps the id, for good.
//   - Apply takes whatever it is given. The original server (Seq 0) was not strict, so odd
//     values are shown as far as they can be, and never end a start.
//   - A keyed command is answered from what is folded of the log, and its own answer is one of its events. So what
//     the log has lost was never answered, and what it has is never done twice.
//   - A type of event that this version does not know may change who holds a thread. From then on
//     the state is read-only here, and every command is refused (CodeReadOnly), unless the type starts
//     with note_, which promises that it changes no thread.
//   - A state read from a snapshot is the one that replaying its events gives (Difference), and goes on
//     in the same way. A change of what Apply makes of events, or of the encoding, raises Version.
//
// # How threads lie in memory
//
// An exchange keeps every thread for ever, and most of them are cold. So a thread costs memory for its
// fields and its text and little else, and the garbage collector, which looks at pointers, sees none
// per thread:
//
//   - table.go: a thread is a slot of 96 bytes, a message a record of 28 (said.go), a change of the status one
//     of 24 (history.go), all named by a number. pages.go
//     holds them in pages that never move, with one pointer for each page.
//   - text.go: refs and intents stand one after the other in chunks. What is read is a part of a chunk, and
//     no copy.
//   - names.go: the words that threads have in common are numbers. There are as many as events have used.
//   - order.go: the lists are links between slots. filing.go: which lists a thread is in: all, its status and
//     priority, its requestor, its executor. demand.go: or, while it waits for one, what it demands of whoever
//     claims it. index.go: a slot is found by the hash of its ref.
//   - answers.go: the answers to keyed commands, a queue in chunks that are let go of after a day.
//   - attachments.go: of each key that an event names for something beside the log, a hash.
//   - sparse.go: the terms of the few threads that have some, by the thread's number. due.go: which pending
//     threads expire, as a heap.
//   - fork.go: what a fork changed lies beside its base as it is shown, in plain maps.
//
// Freeze copies lists of pages, not pages. Each page has the epoch in which it was last copied, and a page
// of an earlier epoch is copied before it is changed. What only grows (messages, text, names) is never
// copied: what was added later lies behind all that a frozen copy sees. So Encode runs beside Apply
// without a lock. What is added to a slot, a page or the table later must keep to one of these two ways.
//
// Fields that only few threads have belong in a table of their own by the thread's number, not in the
// slot; a snapshot would hold it behind the threads.
//
// # Files
//
// One command per file: register.go, create.go, update.go, import.go, expire.go, profile.go, key.go, remove.go; each
// holds the payloads it writes and how they are folded. status.go and steps.go are the state machine, terms.go
// what a request asks for and who is eligible, attachments.go what events keep beside the log, blocks.go what
// is read out of a message, ref.go and id.go the names, once.go and answers.go keyed commands, state.go and
// list.go the queries, able.go what executors can do, thread.go, message.go and executor.go what they return,
// apply.go the fold, freeze.go, encode.go, decode.go and answersencode.go the snapshot, difference.go what
// tells two states apart, json.go the reading of payloads. docs/protocol.md tells the same rules to
// users.
package exchange
