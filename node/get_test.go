package node

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

func TestGet(t *testing.T) {
	w := newWorld(t, 41, nil)
	o := w.newOwner().found()
	for _, size := range []int64{1, 128, 2 * protocol.LeafSize, 2*protocol.LeafSize + 1, 300_000} {
		s := o.newSegment(size)
		o.mustPut(s)
		shard := s.shards[ownSlot]
		if got, err := o.get(s, 0, 0); err != nil || !bytes.Equal(got, shard) {
			t.Errorf("whole shard of %d bytes: %v", len(shard), err)
		}
		for range 20 {
			off := w.r.Int64N(int64(len(shard)))
			length := 1 + w.r.Int64N(int64(len(shard))-off)
			raw, err := o.get(s, off, length)
			if err != nil {
				t.Fatal(err)
			}
			got, err := protocol.VerifySlice(raw, off, length, s.desc.ShardSize, s.desc.Roots[ownSlot])
			if err != nil || !bytes.Equal(got, shard[off:off+length]) {
				t.Errorf("%d+%d of %d bytes: %v", off, length, len(shard), err)
			}
		}
	}
}

func TestGetRefusals(t *testing.T) {
	w := newWorld(t, 42, nil)
	o := w.newOwner().found()
	s, gone := o.newSegment(1000), o.newSegment(1000)
	o.mustPut(s)
	o.mustPut(gone)
	o.must(o.deleteFact(gone.id[:]))
	reader := o.client.id
	good := protocol.GetRequest{Segment: s.id, Slot: ownSlot, Proof: o.proof(s, reader), Descriptor: true}
	for _, c := range []struct {
		name   string
		change func(*protocol.GetRequest)
		code   protocol.Code
	}{
		{"good", func(*protocol.GetRequest) {}, 0},
		{"any slot", func(r *protocol.GetRequest) { r.Slot = protocol.AnySlot }, 0},
		{"another slot", func(r *protocol.GetRequest) { r.Slot = 1 }, protocol.CodeNotFound},
		{"unknown segment", func(r *protocol.GetRequest) { r.Segment[0] ^= 1; r.Slot = protocol.AnySlot }, protocol.CodeNotFound},
		{"no proof", func(r *protocol.GetRequest) { r.Proof = nil }, protocol.CodeMalformed},
		{"another reader's proof", func(r *protocol.GetRequest) { r.Proof = o.proof(s, o.members[0].id) }, protocol.CodeDenied},
		{"another segment's proof", func(r *protocol.GetRequest) { r.Proof = o.proof(gone, reader) }, protocol.CodeDenied},
		{"by another key", func(r *protocol.GetRequest) { r.Proof = protocol.SignRead(o.key, network, s.id, reader) }, protocol.CodeDenied},
		{"deleted", func(r *protocol.GetRequest) { r.Segment = gone.id; r.Proof = o.proof(gone, reader) }, protocol.CodeDeleted},
		{"range beyond the end", func(r *protocol.GetRequest) { r.Offset, r.Length = 500, 13 }, protocol.CodeMalformed},
		{"range after the end", func(r *protocol.GetRequest) { r.Offset, r.Length = 512, 1 }, protocol.CodeMalformed},
		{"huge range", func(r *protocol.GetRequest) { r.Offset, r.Length = 1, protocol.MaxInt }, protocol.CodeMalformed},
	} {
		r := good
		c.change(&r)
		m, _, release, err := w.node.Get(t.Context(), at(reader, ""), &r)
		wantCode(t, c.name, err, c.code)
		if err == nil {
			if !bytes.Equal(m.Descriptor, s.bytes) || m.Slot != ownSlot || m.Validate() != nil {
				t.Errorf("%s: %+v", c.name, m)
			}
			release()
		}
	}
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := w.node.gate.Own(short, w.cfg.Limits.Body); err != nil {
		t.Errorf("some memory still counts as taken: %v", err)
	}
}

func BenchmarkPut(b *testing.B) {
	w := newWorld(b, 43, nil)
	o := w.newOwner().found()
	for _, size := range []int64{128, 1 << 20, 8 << 20} {
		s := o.newSegment(size)
		b.Run(protocolSize(s.desc.ShardSize), func(b *testing.B) {
			b.SetBytes(s.desc.ShardSize)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				if g, release, err := w.node.groups.Open(b.Context(), o.id); err == nil {
					g.Lose(s.id)
					release()
				}
				if key, err := w.store.Find(b.Context(), s.id); err == nil {
					_ = w.store.DeleteShard(b.Context(), key)
				}
				b.StartTimer()
				o.mustPut(s)
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	w := newWorld(b, 44, nil)
	o := w.newOwner().found()
	s := o.newSegment(8 << 20)
	o.mustPut(s)
	proof := o.proof(s, o.client.id)
	for name, length := range map[string]int64{"whole": 0, "leaf": protocol.LeafSize} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, raw, release, err := w.node.Get(b.Context(), at(o.client.id, ""), &protocol.GetRequest{Segment: s.id, Slot: protocol.AnySlot, Length: length, Proof: proof})
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(raw)))
				release()
			}
		})
	}
}

func protocolSize(n int64) string {
	switch {
	case n >= 1<<20:
		return "4MiB"
	case n >= 1<<10:
		return "512KiB"
	}
	return "64B"
}
