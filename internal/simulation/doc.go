// Package simulation runs the event log and the engine, the code that is shipped and not a model of it, in a
// world of which every turn is chosen by one seeded scheduler. It holds tests only.
//
// A run is twenty days of three replicas on one store, five clients, and all that can go wrong between them:
// requests and answers that are lost, late or cut, the SDK's own retries and those of clients with an
// idempotency key, crashes and restarts, processes that are suspended for days, clocks that are days off, and
// merges by every replica. Whatever happens, what the clients are told must be what the log in the store says (witness_test.go and judge_test.go hold them
// against each other), and in the end the store must hold exactly that log.
//
// # One turn at a time
//
// Every call of a store parks at a gate (gate_test.go). When everything in the world is blocked, which
// testing/synctest tells, the scheduler takes one turn: it carries out a parked request, lets one answer go,
// begins a client's call, or lets something go wrong (world_test.go). Each turn goes into the trace. So a seed
// is one run, the same every time. What must stay true for that:
//
//   - One turn wakes one goroutine, or several whose order does not show: a client's next call is a turn of
//     its own.
//   - Turns name things by what the seed determines, never by what differs between runs, such as event ids
//     and refs, and are offered in an order that it determines.
//   - The code under test holds no lock across a call of the store: a goroutine that waits for one is not
//     blocked as synctest understands it, and the world would stand still. A watch outside of it says so.
//   - Nothing in it throws dice that the seed does not know. The engine does for its daily merges, the first
//     of which is five minutes after its start: no process of a run lives that long by its own clock, and
//     merges are turns.
//
// # Two clocks
//
// Timers run by the virtual clock, which moves a little with each turn. Days pass by the store's clock, which
// jumps. To a process that is waiting for the store, hours that pass within milliseconds of its own are what
// a suspended machine makes of them.
//
// # Proof that it can fail
//
// A checker that never fails proves nothing. mutants_test.go breaks the rules of the log one by one, as a
// change of the source that is compiled into another test binary, and wants each of them caught.
package simulation
