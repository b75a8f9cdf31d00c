package client

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// mood is how a holder behaves.
type mood int

const (
	healthy  mood = iota
	dead          // cannot be dialled
	frozen        // accepts and never answers
	lying         // gives false bytes, false records, false members
	refusing      // says no to everything
	sluggish      // answers truly, and takes three seconds each time
)

// holder keeps shards and facts in maps, as a node would on its disk.
type holder struct {
	protocol.Handler // nil: no client sends the requests that only members make

	id   peer.ID
	key  crypto.PrivKey
	addr multiaddr.Multiaddr
	net  *testNet
	info protocol.InfoReply

	mu       sync.Mutex
	mood     mood
	shards   map[protocol.SegmentID]*heldShard
	record   []byte
	table    []byte
	group    protocol.GroupID
	pointers map[protocol.PointerID][]byte
	envs     [][]byte // of the members, by slot
	gets     int

	pointerAlone bool   // shows pointers without record and table
	saysDeleted  bool   // says so of any pointer, without proof
	deleted      []byte // the delete that it shows for any pointer
	silentGet    bool   // never answers for bytes
}

type heldShard struct {
	slot     int
	desc     []byte
	data     []byte
	outboard []byte
}

func (h *holder) is(m mood) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mood == m
}

func (h *holder) set(m mood) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mood = m
}

// edit changes what a holder has, while others may be asking for it.
func (h *holder) edit(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// act does what the holder's mood makes it do before any answer.
func (h *holder) act(ctx context.Context) error {
	if !protocol.Sleep(ctx, h.net.latency) {
		return ctx.Err()
	}
	switch {
	case h.is(frozen), h.is(dead):
		<-ctx.Done()
		return ctx.Err()
	case h.is(refusing):
		return protocol.ErrUnavailable
	case h.is(sluggish):
		protocol.Sleep(ctx, 3*time.Second)
	}
	return nil
}

func (h *holder) Info(ctx context.Context, _ protocol.Remote, _ *protocol.InfoRequest) (*protocol.InfoReply, error) {
	if err := h.act(ctx); err != nil {
		return nil, err
	}
	m := h.info
	return &m, nil
}

func (h *holder) Get(ctx context.Context, from protocol.Remote, r *protocol.GetRequest) (*protocol.GetReply, []byte, func(), error) {
	h.mu.Lock()
	h.gets++
	s := h.shards[r.Segment]
	h.mu.Unlock()
	if h.silentGet {
		<-ctx.Done()
		return nil, nil, nil, ctx.Err()
	}
	if err := h.act(ctx); err != nil {
		return nil, nil, nil, err
	}
	if s == nil || r.Slot != protocol.AnySlot && r.Slot != s.slot {
		return nil, nil, nil, protocol.ErrNotFound
	}
	d, err := protocol.OpenDescriptor(s.desc, r.Segment)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := protocol.CheckRead("test", r.Segment, d, from.Peer, r.Proof); err != nil {
		return nil, nil, nil, err
	}
	raw := s.data
	if r.Length > 0 {
		if r.Offset+r.Length > d.ShardSize {
			return nil, nil, nil, protocol.ErrMalformed
		}
		off, length := protocol.AlignRange(r.Offset, r.Length, d.ShardSize)
		if raw, err = protocol.Slice(s.data[off:off+length], s.outboard, r.Offset, r.Length); err != nil {
			return nil, nil, nil, err
		}
	}
	m := &protocol.GetReply{Slot: s.slot, Length: int64(len(raw))}
	if r.Descriptor {
		m.Descriptor = s.desc
	}
	if h.is(lying) {
		raw = append([]byte(nil), raw...)
		raw[len(raw)/2] ^= 1
		if len(m.Descriptor) > 0 && s.slot%2 == 0 {
			m.Descriptor = append([]byte(nil), m.Descriptor...)
			m.Descriptor[len(m.Descriptor)-1] ^= 1
		}
	}
	return m, raw, nil, nil
}

func (h *holder) Members(ctx context.Context, from protocol.Remote, r *protocol.MembersRequest) (*protocol.MembersReply, error) {
	if err := h.act(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.shards[r.Segment]
	if s == nil || r.Group != h.group {
		return nil, protocol.ErrUnknown
	}
	d, err := protocol.OpenDescriptor(s.desc, r.Segment)
	if err == nil {
		err = protocol.CheckRead("test", r.Segment, d, from.Peer, r.Proof)
	}
	if err != nil {
		return nil, err
	}
	m := &protocol.MembersReply{Record: h.record, Table: h.table}
	for slot, e := range h.envs {
		m.Members = append(m.Members, protocol.Member{Slot: slot, Envelope: e})
	}
	if h.mood == lying {
		m.Table = append([]byte(nil), m.Table...)
		m.Table[len(m.Table)-1] ^= 1
	}
	return m, nil
}

func (h *holder) Facts(ctx context.Context, _ protocol.Remote, r *protocol.FactsRequest) (*protocol.FactsReply, error) {
	if err := h.act(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.saysDeleted {
		return nil, protocol.ErrDeleted
	}
	if h.deleted != nil {
		return &protocol.FactsReply{Facts: []protocol.Fact{
			{Kind: protocol.FactRecord, Bytes: h.record}, {Kind: protocol.FactTable, Bytes: h.table}, {Kind: protocol.FactDelete, Bytes: h.deleted},
		}}, nil
	}
	if h.pointerAlone {
		m := &protocol.FactsReply{}
		if p := h.pointers[protocol.PointerID(r.Pointer)]; p != nil {
			m.Facts = append(m.Facts, protocol.Fact{Kind: protocol.FactPointer, Bytes: p})
		}
		return m, nil
	}
	if h.group.Prefix() != r.Group || h.record == nil {
		return nil, protocol.ErrUnknown
	}
	m := &protocol.FactsReply{Facts: []protocol.Fact{
		{Kind: protocol.FactRecord, Bytes: h.record}, {Kind: protocol.FactTable, Bytes: h.table},
	}}
	for _, e := range h.envs {
		m.Facts = append(m.Facts, protocol.Fact{Kind: protocol.FactEnvelope, Bytes: e})
	}
	if p := h.pointers[protocol.PointerID(r.Pointer)]; p != nil {
		m.Facts = append(m.Facts, protocol.Fact{Kind: protocol.FactPointer, Bytes: p})
	}
	if h.mood == lying {
		for i, f := range m.Facts {
			b := append([]byte(nil), f.Bytes...)
			b[len(b)-1] ^= 1
			m.Facts[i].Bytes = b
		}
	}
	return m, nil
}

var errUnused = errors.New("not asked by readers")

func (h *holder) Form(context.Context, protocol.Remote, *protocol.FormRequest) (*protocol.FormReply, error) {
	return nil, errUnused
}

func (h *holder) Put(context.Context, protocol.Remote, *protocol.PutRequest, io.Reader) (*protocol.PutReply, error) {
	return nil, errUnused
}

func (h *holder) Have(context.Context, protocol.Remote, *protocol.HaveRequest) (*protocol.HaveReply, error) {
	return nil, errUnused
}
