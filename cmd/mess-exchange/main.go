package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait for the order of a shutdown
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mess-exchange:", err)
		os.Exit(1)
	}
}

// run is the program: what main is, less the process. The server runs until ctx ends, then stops in
// order and returns nil. An error is one sentence for the operator.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c, command, err := parse(args, getenv, stdout)
	switch {
	case errors.Is(err, errAnswered):
		return nil
	case err != nil:
		return err
	}
	switch command {
	case "check":
		return check(ctx, c, stdout)
	case "compact":
		return compact(ctx, c, stdout)
	case "copy":
		return copyData(ctx, c, stdout)
	case "health":
		return health(ctx, c, stdout)
	case "register":
		return registerExecutor(ctx, c, stdout)
	case "import <dir>":
		return importFolder(ctx, c, stdout, stderr)
	case "export <dir>":
		return exportFolder(ctx, c, stdout, stderr)
	}
	return serve(ctx, c, stderr)
}
