//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
)

// hasty are the flags of a network in which a day lasts 43 s, and a node that is
// silent for 20 s is considered gone.
var hasty = []string{
	"--time-scale", "0.0005", "--beat-every", "2h", "--absent-after", "8h", "--gone-after", "12h", "--lease-scale", "1", "--log-level", "info",
}

// repairPatience is how long holders may take to consider others gone, to draw
// candidates and to make the shards again.
const repairPatience = 5 * time.Minute

// repairRest is after how long without a new shard the repair counts as finished:
// members leave a segment alone as soon as more than r hold it, though a slot may
// still be vacant.
const repairRest = 90 * time.Second

// measureRepair compares how fast members repair with how fast the file is read:
// with one new holder, then with as many as have been lost by the time they
// repair.
func measureRepair(ctx context.Context, s settings) (list []figure, err error) {
	for _, c := range []struct {
		what   string
		spares int
		target string
	}{
		{"repair for one new holder", 1, "≥ 0.5"},
		{"repair for all that are lost", s.profile.N - s.profile.R, ""},
	} {
		rate, part, err := s.repairRate(ctx, c.spares)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		list = append(list, figure{c.what + ": bytes fetched", rate, "MB/s", ""}, figure{"the same, as a part of get's", part, "", c.target})
	}
	return list, nil
}

// repairRate kills just so many holders of a file that the others repair it, in a
// network of its own with spare nodes to take their places. It returns how many
// MB a second the repairers fetched while at least one of them repaired, and that
// as a fraction of the rate of a get before.
func (s settings) repairRate(ctx context.Context, spares int) (rate, part float64, err error) {
	n, err := startNetwork(ctx, s, s.profile.N+spares, hasty...)
	if err != nil {
		return 0, 0, err
	}
	defer n.close()
	if _, err := n.put(ctx); err != nil {
		return 0, 0, err
	}
	get, err := n.measure(ctx, n.get, nil)
	if err != nil {
		return 0, 0, err
	}
	holders, err := n.holders(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, h := range holders[:s.profile.N-s.profile.R] {
		if err := h.Kill(); err != nil {
			return 0, 0, err
		}
	}
	segment := min(64<<20, int64(s.profile.K)*4<<20)
	list, err := n.repairs(ctx, int(s.size/segment)*spares)
	if err != nil {
		return 0, 0, err
	}
	bytes, busy := fetched(list)
	rate = float64(bytes) / 1e6 / busy.Seconds()
	return rate, rate / get.Rate, nil
}

// holders returns the nodes that hold the file.
func (n *network) holders(ctx context.Context) ([]*launch.Node, error) {
	var out bytes.Buffer
	if _, err := n.command(ctx, "get", strings.NewReader(n.links[0]+"\n"), &out, "health", "-", "--json"); err != nil {
		return nil, err
	}
	var health struct{ Holders []struct{ Peer string } }
	if err := json.Unmarshal(out.Bytes(), &health); err != nil {
		return nil, fmt.Errorf("read health: %w", err)
	}
	var list []*launch.Node
	for _, h := range health.Holders {
		if node := n.lab.Node(h.Peer); node != nil {
			list = append(list, node)
		}
	}
	if len(list) != n.profile.N {
		return nil, fmt.Errorf("%d of %d holders are known", len(list), n.profile.N)
	}
	return list, nil
}

// repaired is one segment's repair, as a node's log tells it.
type repaired struct {
	Time    time.Time `json:"time"` // of its end
	Msg     string    `json:"msg"`
	Shards  int       `json:"shards"`
	Fetched int64     `json:"fetched"` // bytes
	Took    string    `json:"took"`
}

var errNoRepair = errors.New("the lost shards are not made again")

// repairs waits until that many shards were made again, or no more are made.
func (n *network) repairs(ctx context.Context, shards int) ([]repaired, error) {
	last, before := time.Now(), 0
	for patience := repairPatience; ; {
		var list []repaired
		made := 0
		for _, node := range n.lab.Nodes() {
			more, err := readRepairs(node.LogPath())
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
		for _, r := range list {
			made += r.Shards
		}
		if made > before {
			last, before, patience = time.Now(), made, repairRest
		}
		switch late := time.Since(last) > patience; {
		case made >= shards, late && made > 0:
			return list, nil
		case late:
			return nil, errNoRepair
		}
		if !protocol.Sleep(ctx, time.Second) {
			return nil, ctx.Err()
		}
	}
}

// readRepairs reads a node's log.
func readRepairs(path string) (list []repaired, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r repaired
		if json.Unmarshal(lines.Bytes(), &r) == nil && r.Msg == "repaired a segment" {
			list = append(list, r)
		}
	}
	return list, lines.Err()
}

// fetched returns how many bytes repairs fetched, and for how long at least one
// of them was under way.
func fetched(list []repaired) (bytes int64, busy time.Duration) {
	slices.SortFunc(list, func(a, b repaired) int { return a.begun().Compare(b.begun()) })
	var until time.Time
	for _, r := range list {
		bytes += r.Fetched
		begun := r.begun()
		if begun.Before(until) {
			begun = until
		}
		if r.Time.After(begun) {
			busy += r.Time.Sub(begun)
			until = r.Time
		}
	}
	return bytes, busy
}

func (r repaired) begun() time.Time {
	took, _ := time.ParseDuration(r.Took) // as the node says itself
	return r.Time.Add(-took)
}
