// Package exchange holds the rules of an exchange, and nothing else: who may do what to which
// thread, which events say so, and what those events add up to.
//
//	Decide(state, command, now) → events, or a refusal, or nothing to change
//	Apply(state, event)         → state
//
// It is pure. It imports the standard library only, and from it nothing that reads a clock, draws a
// random number, takes a lock, logs or does input or output (a test holds this). The time, the actor
// and the candidates for new names arrive with the command, so the same log gives the same state in
// every replica, at every start and in every test.
//
// # What must stay true
//
//   - A State is the fold of its events in the order of the log. Nothing but Apply changes it, and
//     Decide never relies on the events it has just returned.
//   - A *Thread or *Executor handed out never changes afterwards: Apply replaces it by a changed copy.
//     So readers keep what they got without a lock while the log goes on.
//   - A Fork costs the same whatever the size of the state, sees everything of its base and leaves
//     no trace in it.
//   - Events come with a time that never goes back (docs/storage.md, rule 8). A changed thread
//     therefore is always the newest, lists are kept in order by moving it to the front, and a list
//     costs what it returns.
//   - Refs are never reused: a thread, once there, is never removed.
//   - Apply takes whatever it is given. The original server (Seq 0) was not strict, so odd
//     values are shown as far as they can be, and never end a start.
//   - A type of event that this version does not know may change who holds a thread. From then on
//     the state is read-only here, and every command is refused (CodeReadOnly), unless the type starts
//     with note_, which promises that it changes no thread.
//
// # Files
//
// One command per file: register.go, create.go, update.go, profile.go; each holds the payloads it
// writes and how they are folded. status.go is the state machine, blocks.go what is read out of a
// message, ref.go and id.go the names, state.go the queries, order.go the lists, apply.go the fold,
// json.go the reading of payloads. docs/protocol.md tells the same rules to users.
package exchange
