//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairnstore/cairn/lab/launch"
)

// lossy gets the file with as many holders frozen as may be lost, then with as
// many killed. It measures the time to the first byte right after either, and the
// cost of gets past the killed ones. It must come last: the dead stay dead.
func (n *network) lossy(ctx context.Context) (row, []figure, error) {
	victims := n.lab.Nodes()[n.profile.K:]
	frozen, err := n.firstByte(ctx, victims, (*launch.Node).Freeze)
	for _, v := range victims {
		err = errors.Join(err, v.Thaw())
	}
	if err != nil {
		return row{}, nil, fmt.Errorf("get past stopped holders: %w", err)
	}
	killed, err := n.firstByte(ctx, victims, (*launch.Node).Kill)
	if err != nil {
		return row{}, nil, fmt.Errorf("get past killed holders: %w", err)
	}
	first := []figure{
		{"first byte, n−k holders stopped (black holes)", frozen, "s", "< 5"},
		{"first byte, n−k holders just killed", killed, "s", "< 1"},
	}
	r, err := n.measure(ctx, n.get, n.yard.get)
	return r, first, err
}

// firstByte harms the victims and gets the file; it returns the seconds until
// its first byte.
func (n *network) firstByte(ctx context.Context, victims []*launch.Node, harm func(*launch.Node) error) (float64, error) {
	for _, v := range victims {
		if err := harm(v); err != nil {
			return 0, err
		}
	}
	r, err := n.get(ctx)
	return r.first.Seconds(), err
}
