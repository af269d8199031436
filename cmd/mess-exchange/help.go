package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// errAnswered: --help or --version was given, and has been answered.
var errAnswered = errors.New("answered")

type helpFlag bool

// BeforeReset prints the help before any value is looked at, so that it works amid mistakes.
func (helpFlag) BeforeReset(ctx *kong.Context) error {
	if err := printHelp(ctx.Stdout, ctx.Model); err != nil {
		return fmt.Errorf("print the help: %w", err)
	}
	return errAnswered
}

type versionFlag bool

// BeforeReset prints the version.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	fmt.Fprintln(app.Stdout, "mess-exchange", programVersion())
	return errAnswered
}

// printHelp prints one table for flags and environment, the same for every command, and those of single
// commands behind it.
func printHelp(w io.Writer, app *kong.Application) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "mess-exchange [command] [flags]\n\n"+
		"A self-hosted exchange of MESS requests: a REST API on an event log in a directory or a bucket.\n\n")
	for _, command := range app.Children {
		fmt.Fprintf(table, "  %s\t%s\n", command.Name, command.Help)
	}
	fmt.Fprint(table, "\nEvery setting is a flag or an environment variable; the flag wins.\n\n  FLAG\tVARIABLE\tDEFAULT\t\n")
	for _, flag := range app.Flags {
		fmt.Fprintf(table, "  --%s\t%s\t%s\t%s\n", flag.Name, flag.Tag.Get("var"), flag.Default, flag.Help)
	}
	for _, command := range app.Children {
		if len(command.Flags) > 0 {
			fmt.Fprintf(table, "\nFlags of %s:\n\n", command.Name)
		}
		for _, flag := range command.Flags {
			fmt.Fprintf(table, "  --%s\t%s\t\t%s\n", flag.Name, flag.Tag.Get("var"), flag.Help)
		}
	}
	return table.Flush()
}
