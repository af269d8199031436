// Package settings reads what the server can be told, from text: what is the same whether the text came from flags
// and an environment (cmd/mess-exchange) or from the variables of a Worker (cmd/mess-worker). Every error names the
// variable and is one sentence for the operator.
package settings
