package memnet

import (
	"context"
	"io"
	"testing"

	"github.com/cairnstore/cairn/protocol"
)

// holder answers Info and keeps the last shard; it is asked nothing else.
type holder struct {
	protocol.Handler
	shard []byte
}

func (*holder) Info(context.Context, protocol.Remote, *protocol.InfoRequest) (*protocol.InfoReply, error) {
	return &protocol.InfoReply{Network: "test", Version: protocol.Version, Accepts: protocol.AcceptsOpen}, nil
}

func (h *holder) Put(_ context.Context, _ protocol.Remote, r *protocol.PutRequest, body io.Reader) (*protocol.PutReply, error) {
	h.shard = h.shard[:r.Length]
	_, err := io.ReadFull(body, h.shard)
	return &protocol.PutReply{}, err
}

func (h *holder) Get(context.Context, protocol.Remote, *protocol.GetRequest) (*protocol.GetReply, []byte, func(), error) {
	return &protocol.GetReply{Length: int64(len(h.shard))}, h.shard, nil, nil
}

// caller returns a caller and the holder that it can ask.
func caller(tb testing.TB) (*protocol.Caller, *Peer) {
	n := New(Config{})
	h := &holder{shard: make([]byte, protocol.MaxShardSize)}
	server := n.Peer(PeerConfig{Server: true})
	server.Serve(func(s protocol.Stream) { _ = protocol.Serve(context.Background(), s, h) })
	client := n.Peer(PeerConfig{})
	client.Learn(server.AddrInfo())
	c := protocol.NewCaller(client)
	tb.Cleanup(func() {
		c.Close()
		_ = n.Close()
	})
	return c, server
}

func TestExchange(t *testing.T) {
	c, server := caller(t)
	shard := make([]byte, protocol.MaxShardSize)
	for i := range shard {
		shard[i] = byte(i >> 7)
	}
	if m, err := c.Info(t.Context(), server.Self()); err != nil || m.Network != "test" {
		t.Fatalf("info: %+v, %v", m, err)
	}
	if err := c.Put(t.Context(), server.Self(), &protocol.PutRequest{}, shard); err != nil {
		t.Fatalf("put: %v", err)
	}
	_, got, err := c.Get(t.Context(), server.Self(), &protocol.GetRequest{Slot: protocol.AnySlot}, nil, protocol.MaxShardSize)
	if err != nil || string(got) != string(shard) {
		t.Fatalf("get: %d bytes, %v", len(got), err)
	}
}

// BenchmarkExchange is the smallest question and its answer on a kept stream.
func BenchmarkExchange(b *testing.B) {
	c, server := caller(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Info(b.Context(), server.Self()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStream opens, uses and closes a stream for each question.
func BenchmarkStream(b *testing.B) {
	c, server := caller(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Info(b.Context(), server.Self()); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}

// BenchmarkPut moves whole shards.
func BenchmarkPut(b *testing.B) {
	c, server := caller(b)
	shard := make([]byte, protocol.MaxShardSize)
	b.SetBytes(protocol.MaxShardSize)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Put(b.Context(), server.Self(), &protocol.PutRequest{}, shard); err != nil {
			b.Fatal(err)
		}
	}
}
