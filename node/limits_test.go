package node

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// A whole conversation through Serve, refusals between, on one stream.
func TestServe(t *testing.T) {
	w := newWorld(t, 81, nil)
	o := w.newOwner()
	here := &fakeNet{identity: o.client, peers: map[peer.ID]protocol.Handler{}}
	streams := 0
	c := protocol.NewCaller(serving{here, func() protocol.Stream {
		streams++
		a, b := net.Pipe()
		go w.node.Serve(pipeStream{b, o.client.id})
		return pipeStream{a, w.net.id}
	}})
	defer c.Close()
	ctx, to := t.Context(), w.net.id
	s := o.newSegment(100_000)
	wantCode(t, "put to a stranger", c.Put(ctx, to, o.putRequest(s), s.shards[ownSlot]), protocol.CodeUnknown)
	if _, err := c.Facts(ctx, to, &protocol.FactsRequest{Group: o.id.Prefix(), Offer: o.founding()}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "wrong bytes", c.Put(ctx, to, o.putRequest(s), s.shards[0]), protocol.CodeForged)
	for range 2 {
		if err := c.Put(ctx, to, o.putRequest(s), s.shards[ownSlot]); err != nil {
			t.Fatal(err)
		}
	}
	_, raw, err := c.Get(ctx, to, &protocol.GetRequest{Segment: s.id, Slot: protocol.AnySlot, Proof: o.proof(s, o.client.id)}, nil, protocol.MaxShardSize)
	if err != nil || !bytes.Equal(raw, s.shards[ownSlot]) {
		t.Fatal(err)
	}
	if streams != 1 {
		t.Errorf("%d streams were needed", streams)
	}
	if v := w.node.Status().Traffic; v.Requests != 6 || v.Refused != 2 || v.Failed != 0 {
		t.Errorf("%+v", v)
	}
}

// serving opens streams as it is told.
type serving struct {
	*fakeNet
	open func() protocol.Stream
}

func (s serving) Open(context.Context, peer.ID) (protocol.Stream, error) { return s.open(), nil }

func TestStreamsBeyondTheLimitAreReset(t *testing.T) {
	w := newWorld(t, 82, func(c *Config) { c.Limits.PeerStreams = 1 })
	a, b := net.Pipe()
	defer func() { _ = a.Close() }()
	leave, ok := w.node.gate.Stream(at("x", ""))
	if !ok {
		t.Fatal("no stream")
	}
	defer leave()
	w.node.Serve(pipeStream{b, "x"})
	if _, err := a.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	if n := w.node.Status().Traffic.TurnedAway; n != 1 {
		t.Errorf("%d streams turned away", n)
	}
}
