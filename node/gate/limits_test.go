package gate

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// local is an address that counts for nothing: peers at it count by themselves.
const local = "10.0.0.7"

func TestStreamsAreBounded(t *testing.T) {
	d := New(Limits{Streams: 5, PeerStreams: 2}.WithDefaults(), CrowdedRate, time.Now)
	var leave []func()
	enter := func(peer int, want bool) {
		t.Helper()
		l, ok := d.Stream(from(peer, local))
		if ok != want {
			t.Fatalf("stream of peer %d: %t", peer, ok)
		}
		if ok {
			leave = append(leave, l)
		}
	}
	enter(0, true)
	enter(0, true)
	enter(0, false)
	enter(1, true)
	enter(1, true)
	enter(2, true)
	enter(3, false)
	leave[0]()
	enter(0, true)
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
		d := New(Limits{Body: 3 * most, PeerBody: 2 * most}.WithDefaults(), CrowdedRate, time.Now)
		ctx := t.Context()
		var frees []func()
		for range 2 {
			free, err := d.Body(ctx, from(0, local), most)
			if err != nil {
				t.Fatal(err)
			}
			frees = append(frees, free)
		}
		begun := time.Now()
		if _, err := d.Body(ctx, from(0, local), 64); protocol.CodeOf(err) != protocol.CodeUnavailable {
			t.Errorf("a third shard of one peer: %v", err)
		}
		if time.Since(begun) != Patience {
			t.Errorf("refused after %v", time.Since(begun))
		}
		free, err := d.Body(ctx, from(1, local), most)
		if err != nil {
			t.Errorf("one peer shuts out another: %v", err)
		}
		if _, err := d.Body(ctx, from(2, local), 64); protocol.CodeOf(err) != protocol.CodeUnavailable {
			t.Errorf("beyond all memory: %v", err)
		}
		go func() { time.Sleep(time.Second); frees[0]() }()
		last, err := d.Body(ctx, from(0, local), most)
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
	var b Buffers
	for _, n := range []int64{1, 64, protocol.LeafSize, protocol.LeafSize + 1, 1 << 20, protocol.MaxShardSize} {
		v := b.Get(n)
		if int64(len(*v)) != n {
			t.Errorf("%d bytes for %d", len(*v), n)
		}
		b.Put(v)
	}
	if v := b.Get(2 * protocol.MaxShardSize); len(*v) != 2*protocol.MaxShardSize {
		t.Error("a greater buffer than any class")
	}
}
