package main

import (
	"fmt"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
)

// joinedFile is in the home and says which network was joined, and by which peers.
// It is separate from config.toml, which is the user's, and comes last.
const joinedFile = "joined.toml"

type joined struct {
	Network   string   `toml:"network"`
	Bootstrap []string `toml:"bootstrap"` // multiaddrs that end in /p2p
}

func readJoined(home string) (joined, error) {
	var j joined
	err := readTOML(filepath.Join(home, joinedFile), &j)
	return j, err
}

func (j joined) write(h home) error {
	b, err := toml.Marshal(j)
	if err != nil {
		return fmt.Errorf("write %s: %w", joinedFile, err)
	}
	head := "# Written by \"cairn join\"; flags, environment and config.toml come first.\n"
	return writeWhole(filepath.Join(h.dir, joinedFile), append([]byte(head), b...))
}

// applyJoined sets the network and peers that were joined, where nothing else names
// them. Peers of one network are no way into another.
func (a *app) applyJoined(cmd *cobra.Command, j joined) {
	if j.Network == "" {
		return
	}
	if !cmd.Flags().Changed("network") {
		a.flags.network = j.Network
	}
	if !cmd.Flags().Changed("bootstrap") && a.flags.network == j.Network {
		a.flags.bootstrap = j.Bootstrap
	}
}
