package node

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

func TestStreamsAreBounded(t *testing.T) {
	d := newDoor(Limits{Streams: 5, PeerStreams: 2}.withDefaults(), time.Now)
	var leave []func()
	enter := func(id peer.ID, want bool) {
		t.Helper()
		l, ok := d.stream(at(id, ""))
		if ok != want {
			t.Fatalf("stream of %s: %t", id, ok)
		}
		if ok {
			leave = append(leave, l)
		}
	}
	enter("a", true)
	enter("a", true)
	enter("a", false)
	enter("b", true)
	enter("b", true)
	enter("c", true)
	enter("d", false)
	leave[0]()
	enter("a", true)
	for _, l := range leave[1:] {
		l()
	}
	if len(d.guests) != 0 || d.streams != 0 {
		t.Errorf("%d guests, %d streams at the end", len(d.guests), d.streams)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = protocol.MaxShardSize
		d := newDoor(Limits{Body: 3 * most, PeerBody: 2 * most}.withDefaults(), time.Now)
		ctx := t.Context()
		var frees []func()
		for range 2 {
			free, err := d.body(ctx, at("a", ""), most)
			if err != nil {
				t.Fatal(err)
			}
			frees = append(frees, free)
		}
		begun := time.Now()
		if _, err := d.body(ctx, at("a", ""), 64); protocol.CodeOf(err) != protocol.CodeUnavailable {
			t.Errorf("a third shard of one peer: %v", err)
		}
		if time.Since(begun) != doorPatience {
			t.Errorf("refused after %v", time.Since(begun))
		}
		free, err := d.body(ctx, at("b", ""), most)
		if err != nil {
			t.Errorf("one peer shuts out another: %v", err)
		}
		if _, err := d.body(ctx, at("c", ""), 64); protocol.CodeOf(err) != protocol.CodeUnavailable {
			t.Errorf("beyond all memory: %v", err)
		}
		go func() { time.Sleep(time.Second); frees[0]() }()
		last, err := d.body(ctx, at("a", ""), most)
		if err != nil {
			t.Errorf("after one was freed: %v", err)
		}
		frees[1]()
		free()
		last()
		if len(d.guests) != 0 || len(d.holds) != 0 {
			t.Errorf("%d guests at the end", len(d.guests))
		}
	})
}

func TestBuffers(t *testing.T) {
	var b buffers
	for _, n := range []int64{1, 64, protocol.LeafSize, protocol.LeafSize + 1, 1 << 20, protocol.MaxShardSize} {
		v := b.get(n)
		if int64(len(*v)) != n {
			t.Errorf("%d bytes for %d", len(*v), n)
		}
		b.put(v)
	}
	if v := b.get(2 * protocol.MaxShardSize); len(*v) != 2*protocol.MaxShardSize {
		t.Error("a greater buffer than any class")
	}
}

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
	leave, ok := w.node.door.stream(at("x", ""))
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
