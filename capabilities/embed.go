// Package capabilities embeds the files of this folder for a server that has no folders (cmd/mess-worker). Others read
// the folder itself, which may be changed while they run.
package capabilities

import "embed"

// Files are the files of the catalogue.
//
//go:embed *.yaml
var Files embed.FS
