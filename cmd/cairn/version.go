package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/protocol"
)

// versionResult is the result of version --json.
type versionResult struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"` // empty: built outside a checkout
	Protocol int    `json:"protocol"`
	Home     int    `json:"home"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "what this cairn is and which protocol it speaks",
		Example: "  cairn version --json",
		Args:    takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			v := versionResult{
				Version: version, Commit: commit(), Protocol: protocol.Version, Home: homeVersion,
				Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
			}
			if a.flags.json {
				return a.result(v)
			}
			return a.print("cairn %s (protocol %d, home %d, %s, %s)\n", v.Version, v.Protocol, v.Home, v.Go, v.Platform)
		},
	}
}

func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// agent is what this program calls itself to other peers.
func agent() string {
	name := "cairn/" + version
	return name[:min(len(name), maxAgent)]
}

const maxAgent = 64 // bytes, as Info allows
