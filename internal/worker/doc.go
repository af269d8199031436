// Package worker answers the requests of a Cloudflare Worker with an http.Handler: what net/http does on a socket is
// done here on the objects that JavaScript has for a request and an answer. deploy/cloudflare/src is the other side.
//
// # The way of a request
//
// JavaScript calls request with the head, a reader of the body or null, a sink for the answer and the signal that
// ends with the client. Each request has a goroutine. An answer that is small and whole goes back in one call; a
// larger one, or one that is flushed, as a stream, each piece when the one before it was taken.
//
// # What must stay true
//
//   - A request's goroutine ends: its context ends with the client, and a handler is told by the time limits that it
//     sets itself (http.ResponseController), which hold here as they do on a socket.
//   - An answer that the handler could not finish is cut off, so that nobody takes a part for the whole.
//   - Nothing of a request is held once it is answered, no callback either.
package worker
