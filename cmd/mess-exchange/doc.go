// Command mess-exchange is the server: it runs the exchanges of one storage and answers HTTP.
//
//	mess-exchange [serve]   run the server (the default)
//	mess-exchange register  register an executor at a running server and print its key
//	mess-exchange import    send the threads in a folder of MESSE-AF files to a running server
//	mess-exchange export    write the threads of an exchange of a running server into such a folder
//	mess-exchange check     read every log and say what is wrong with it
//	mess-exchange compact   merge closed days, as a running server does by itself
//	mess-exchange health    ask the server that runs here whether it answers
//
// This package only wires: config.go reads flags and environment (with internal/settings), serve.go starts and stops what the
// internal packages provide. Whatever an operator can get wrong ends in one sentence on stderr and
// exit status 1, soon (startTime).
package main
