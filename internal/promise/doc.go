// Package promise lets Go wait for what JavaScript answers later. It is for the program that runs inside a
// Cloudflare Worker (GOOS=js): there everything that takes time, the store first of all, is a promise.
//
// # What must stay true
//
//   - Nothing here may be called from within a callback of JavaScript (js.FuncOf): the one thread would wait for
//     itself. A callback begins a goroutine and returns.
//   - A promise that nobody waits for any more is still listened to until it is settled, so that its callbacks can
//     be given back then, and not before.
package promise
