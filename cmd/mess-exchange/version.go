package main

import (
	"runtime/debug"
	"strings"
)

// version is set by the linker (see Makefile).
var version = ""

// programVersion is the linker's, else the module's version (go install), else what the tool chain
// knows of the commit.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	switch {
	case version != "":
		return version
	case !ok:
		return "dev"
	case info.Main.Version != "" && info.Main.Version != "(devel)":
		return info.Main.Version
	}
	revision := "dev"
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))] + strings.TrimPrefix(revision, "dev")
		case s.Key == "vcs.modified" && s.Value == "true":
			revision += "-dirty"
		}
	}
	return revision
}
