package node

import (
	"fmt"
	"net"
	"testing"

	"github.com/cairnstore/cairn/protocol"
)

// BenchmarkServeGet asks for ranges over one stream: what the line costs where
// no limit is set.
func BenchmarkServeGet(b *testing.B) {
	w := newWorld(b, 95, nil)
	o := w.newOwner().found()
	s := o.newSegment(2 << 20)
	o.mustPut(s)
	here := &fakeNet{identity: o.client, peers: nil}
	c := protocol.NewCaller(serving{here, func() protocol.Stream {
		x, y := net.Pipe()
		go w.node.Serve(pipeStream{y, o.client.id})
		return pipeStream{x, w.net.id}
	}})
	defer c.Close()
	for _, size := range []int64{protocol.LeafSize, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			r := &protocol.GetRequest{Segment: s.id, Slot: ownSlot, Length: size, Proof: o.proof(s, o.client.id)}
			buf := make([]byte, 2<<20)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := c.Get(b.Context(), w.net.id, r, buf, 2<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
