//go:build linux

package main

import (
	"context"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// A node is idle once its start is behind it: it has met its peers, filled its
// routing table and told others of itself.
const (
	idlePeers  = 20
	idleSettle = 45 * time.Second
	idleTime   = 60 * time.Second
)

// measureIdle measures what nodes use while nobody asks them for anything, in
// a network of their own.
func measureIdle(ctx context.Context, s settings) ([]figure, error) {
	n, err := startNetwork(ctx, s, idlePeers+1)
	if err != nil {
		return nil, err
	}
	defer n.close()
	if !protocol.Sleep(ctx, idleSettle) {
		return nil, ctx.Err()
	}
	before := n.nodesCPU()
	if !protocol.Sleep(ctx, idleTime) {
		return nil, ctx.Err()
	}
	used := n.nodesCPU() - before
	memory := 0.0
	for _, node := range n.lab.Nodes() {
		memory += float64(processMemory(node.PID())) / float64(len(n.lab.Nodes()))
	}
	return []figure{
		{"idle node with 20 peers", 100 * used.Seconds() / idleTime.Seconds() / (idlePeers + 1), "% of a core", "≤ 0.25"},
		{"memory of an idle node", memory / 1e6, "MB", "≤ 80"},
	}, nil
}
