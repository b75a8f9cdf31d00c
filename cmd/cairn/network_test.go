package main

import (
	"testing"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
)

func TestRoomFor(t *testing.T) {
	for what, c := range map[string]struct {
		p    protocol.Profile
		free []int64
		want int64
	}{
		"one node":               {protocol.Profile{K: 1, R: 1, N: 1}, []int64{100}, 100},
		"as many as slots":       {protocol.Profile{K: 1, R: 2, N: 3}, []int64{100, 100, 100}, 100},
		"the smallest decides":   {protocol.Profile{K: 1, R: 2, N: 3}, []int64{100, 10, 100}, 10},
		"twice as many":          {protocol.Profile{K: 1, R: 2, N: 3}, []int64{100, 100, 100, 100, 100, 100}, 200},
		"one giant helps little": {protocol.Profile{K: 2, R: 4, N: 6}, []int64{10, 10, 10, 10, 10, 10, 1000}, 2 * 12},
		"a full network":         {protocol.Profile{K: 1, R: 2, N: 3}, []int64{0, 0, 0}, 0},
		"one of four is full":    {protocol.Profile{K: 1, R: 2, N: 3}, []int64{0, 50, 60, 70}, 50},
	} {
		var nodes []client.NodeInfo
		for _, f := range c.free {
			nodes = append(nodes, client.NodeInfo{Info: protocol.InfoReply{Accepts: protocol.AcceptsOpen, Free: f}})
		}
		nodes = append(nodes, client.NodeInfo{Info: protocol.InfoReply{Accepts: protocol.AcceptsNobody, Free: 1000}})
		if got := roomFor(c.p, nodes); got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
}
