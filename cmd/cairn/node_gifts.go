package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// settingsFile is in node/ and says what the node was last started with, so that a
// plain "cairn node" goes on. Flags, environment and config.toml come first.
const settingsFile = "settings.toml"

// leastGift is the smallest donation that makes sense: room for the shards of
// a few groups and for reclaiming space.
const leastGift = 100e6 // bytes

type nodeSettings struct {
	Network string `toml:"network"` // that the stores serve
	Port    int    `toml:"port"`    // 0: none chosen yet
	Stores  []gift `toml:"stores"`
}

// gift is one donated folder.
type gift struct {
	Dir   string `toml:"dir"`
	Bytes int64  `toml:"bytes"`
	Made  bool   `toml:"made"` // a store was in it: if that is missing, so is the disk
}

func readNodeSettings(h home) (nodeSettings, error) {
	var s nodeSettings
	err := readTOML(h.node(settingsFile), &s)
	return s, err
}

func (s nodeSettings) write(h home) error {
	b, err := toml.Marshal(s)
	if err != nil {
		return fmt.Errorf("write node settings: %w", err)
	}
	return writeWhole(h.node(settingsFile), b)
}

// chooseGifts returns what --donate says, else what was donated last time.
func chooseGifts(h home, flags []string, set nodeSettings) ([]gift, error) {
	if len(flags) == 0 && len(set.Stores) == 0 {
		return nil, misuse("for instance: cairn node --donate 200GB", "node: how much may be stored here is not said")
	}
	if len(flags) == 0 {
		return set.Stores, nil
	}
	var out []gift
	for _, text := range flags {
		g, err := parseGift(h, text)
		if err != nil {
			return nil, misuse("for instance: --donate 200GB, or --donate 200GB:/mnt/disk", "--donate %q: %v", text, err)
		}
		if slices.ContainsFunc(out, func(o gift) bool { return o.Dir == g.Dir }) {
			return nil, misuse("each folder once, with all that it gives", "--donate: folder %q is given twice", g.Dir)
		}
		g.Made = slices.ContainsFunc(set.Stores, func(o gift) bool { return o.Dir == g.Dir && o.Made })
		out = append(out, g)
	}
	return out, nil
}

// parseGift reads SIZE[:DIR]; a size has no colon, a folder may.
func parseGift(h home, text string) (gift, error) {
	size, dir, named := strings.Cut(text, ":")
	n, err := parseSize(size)
	if err != nil {
		return gift{}, err
	}
	if n < leastGift {
		return gift{}, fmt.Errorf("less than %s is of no use", bytesText(leastGift))
	}
	if !named {
		return gift{Dir: h.node(storeDir), Bytes: n}, nil
	}
	if dir == "" {
		return gift{}, errors.New("the folder after the colon is missing")
	}
	abs, err := filepath.Abs(dir)
	return gift{Dir: abs, Bytes: n}, err
}

func total(gifts []gift) (sum int64) {
	for _, g := range gifts {
		sum += g.Bytes
	}
	return sum
}
