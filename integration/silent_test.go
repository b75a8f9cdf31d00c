//go:build unix

package integration

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/p2p"
)

// TestSilentDHT plays a network whose DHT says nothing: every node is told
// that nobody can dial it, and so serves no lookup. A link with hints works
// for somebody who knows no address at all.
func TestSilentDHT(t *testing.T) {
	slow(t)
	w := newTown(t, 6, launch.Config{NodeArgs: []string{"--public", "no"}})
	w.settle(6)
	path, sum := w.file("x.bin", 9<<20)
	res := w.newcomer("a").put(path, "--hints")
	if res.Stored != res.N || res.N != 3 {
		t.Fatalf("put: %+v", res)
	}
	if n := w.lookup(homeOf(t, res.Link)); n != 0 {
		t.Fatalf("the DHT names %d providers: the test tests nothing", n)
	}
	w.stranger("b").catInTime("hints alone", res.Link, sum)
	w.newcomer("c").catInTime("one node and no hints", withoutHints(t, res.Link), sum)
}

// lookup asks the DHT who holds a group, and counts.
func (w *town) lookup(g protocol.GroupPrefix) (count int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	boot, err := peer.AddrInfoFromString(w.Bootstrap(1)[0])
	w.must(err)
	h, err := p2p.New(ctx, p2p.Config{Network: "test", Bootstrap: []peer.AddrInfo{*boot}})
	w.must(err)
	defer func() { _ = h.Close() }()
	w.must(h.Wait(ctx))
	for range h.Providers(ctx, protocol.FindKey(g)) {
		count++
	}
	return count
}
