// Package liar makes nodes lie: wrappers round a node's handler that answer every
// message falsely, each in a way of its own. Networks must tolerate them.
//
// It is for tests and testnets; nothing in package node can do this.
package liar

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// Lie is one way of lying in every message.
type Lie string

// The lies.
const (
	WrongBytes Lie = "wrong-bytes" // true in form, false in every byte
	Swap       Lie = "swap"        // the bytes of another place of the shard
	Deny       Lie = "deny"        // says that it has nothing
	Refuse     Lie = "refuse"      // refuses everything, each time for another reason
	Forget     Lie = "forget"      // acknowledges and keeps nothing
	Stall      Lie = "stall"       // answers only when the asker has long given up
	Boast      Lie = "boast"       // offers endless space, proves everything, and knows only liars
	WrongChunk Lie = "wrong-chunk" // proves another chunk than the one that an audit selects
	BadNonce   Lie = "bad-nonce"   // gives a half of a challenge that is too short
	Recruit    Lie = "recruit"     // names one peer as holder of every slot, and as candidate
	Away       Lie = "away"        // is away for ever, as it says itself, and serves nothing
	Suspended  Lie = "suspended"   // misses its disk for ever, as it says itself
	Withhold   Lie = "withhold"    // proves all that it holds, and lets nobody read it
	Excuse     Lie = "excuse"      // lives, and refuses every audit, each time for another good reason
	TwoFaced   Lie = "two-faced"   // honest to half of the peers, and dead to the others
	Invent     Lie = "invent"      // gives shards with a descriptor that fits them, but belongs to no segment
)

// All names every lie.
func All() []Lie {
	return []Lie{WrongBytes, Swap, Deny, Refuse, Forget, Stall, Boast, WrongChunk, BadNonce, Recruit, Away, Suspended, Withhold, Excuse, TwoFaced, Invent}
}

// Proves returns the lies of holders that keep what they hold and pass every
// audit: they lie as members in good standing.
func Proves() []Lie { return []Lie{Forget, Recruit, Withhold} }

// Wrap returns a handler that lies where h would tell the truth.
func Wrap(h protocol.Handler, lie Lie, seed uint64) protocol.Handler {
	return &handler{Handler: h, lie: lie, seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
}

type handler struct {
	protocol.Handler
	lie  Lie
	seed uint64
	mu   sync.Mutex
	rng  *rand.Rand // guarded by mu
}

// stallTime is longer than any asker waits.
const stallTime = 10 * time.Minute

// early answers for lies that are the same for every message.
func (h *handler) early(ctx context.Context, from protocol.Remote) error {
	lie := h.lie
	if lie == TwoFaced && h.deadTo(from) {
		lie = Stall
	}
	switch lie {
	case Deny:
		return protocol.Refuse(protocol.CodeNotFound, "never heard of it")
	case Refuse:
		h.mu.Lock()
		defer h.mu.Unlock()
		return protocol.Refuse(protocol.Code(1+h.rng.IntN(20)), "no")
	case Away:
		return protocol.Refuse(protocol.CodeUnavailable, "not now")
	case Stall:
		t := time.NewTimer(stallTime)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	return nil
}

// deadTo reports whether a two-faced node plays dead to a peer.
func (h *handler) deadTo(from protocol.Remote) bool { return h.secret(from)[0]&1 == 0 }

// scramble overwrites b with noise.
func (h *handler) scramble(b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range b {
		b[i] = byte(h.rng.Uint32())
	}
}

// Info lies about space and about who else there is.
func (h *handler) Info(ctx context.Context, from protocol.Remote, r *protocol.InfoRequest) (*protocol.InfoReply, error) {
	m, err := h.Handler.Info(ctx, from, r)
	if err != nil {
		return m, err
	}
	switch h.lie {
	case Refuse, Stall, TwoFaced:
		return m, h.early(ctx, from)
	case Away:
		m.AwayUntil = protocol.MaxInt
	case Boast:
		m.Donated, m.Free, m.Donors = protocol.MaxInt, protocol.MaxInt, nil
	case WrongBytes:
		m.Clock, m.Budget = 0, 1
		for i := range m.Donors {
			m.Donors[i] = bytes.Clone(m.Donors[i])
			h.scramble(m.Donors[i])
		}
	}
	return m, nil
}

// Form lies about the place where the node can be found.
func (h *handler) Form(ctx context.Context, from protocol.Remote, r *protocol.FormRequest) (*protocol.FormReply, error) {
	if err := h.early(ctx, from); err != nil && h.lie != Deny {
		return nil, err
	}
	m, err := h.Handler.Form(ctx, from, r)
	if err == nil && h.lie == Swap {
		m.Envelope = bytes.Clone(m.Envelope)
		h.scramble(m.Envelope[len(m.Envelope)/2:])
	}
	return m, err
}

// Put acknowledges what it does not keep.
func (h *handler) Put(ctx context.Context, from protocol.Remote, r *protocol.PutRequest, body io.Reader) (*protocol.PutReply, error) {
	if h.lie == Forget {
		_, err := io.Copy(io.Discard, body)
		return new(protocol.PutReply), err
	}
	if err := h.early(ctx, from); err != nil && h.lie != Deny {
		return nil, err
	}
	if h.lie == Suspended {
		return nil, h.noReads()
	}
	return h.Handler.Put(ctx, from, r, body)
}

// noReads refuses requests for bytes, if that is the lie.
func (h *handler) noReads() error {
	switch h.lie {
	case Withhold:
		return protocol.Refuse(protocol.CodeUnavailable, "not today")
	case Suspended:
		return protocol.Refuse(protocol.CodeSuspended, "no disk")
	}
	return nil
}

// Get gives false bytes.
func (h *handler) Get(ctx context.Context, from protocol.Remote, r *protocol.GetRequest) (*protocol.GetReply, []byte, func(), error) {
	if err := cmp.Or(h.early(ctx, from), h.noReads()); err != nil {
		return nil, nil, nil, err
	}
	m, raw, release, err := h.Handler.Get(ctx, from, r)
	if err == nil {
		raw = h.spoil(m, raw)
	}
	return m, raw, release, err
}

// spoil falsifies a shard or slice, and what the reply says of it.
func (h *handler) spoil(m *protocol.GetReply, raw []byte) []byte {
	switch h.lie {
	case WrongBytes:
		raw = bytes.Clone(raw)
		h.scramble(raw)
		h.scramble(m.Descriptor)
	case Swap:
		raw = swapped(raw)
		m.Slot = (m.Slot + 1) % protocol.MaxShards
	case Boast:
		m.Length = protocol.MaxShardSize + 4096
	case Invent:
		raw = bytes.Clone(raw)
		h.scramble(raw)
		if len(m.Descriptor) > 0 {
			m.Descriptor = invented(m.Descriptor, m.Slot, raw)
		}
	}
	return raw
}

// invented returns a descriptor that confirms false bytes: it is well formed, but
// names another segment.
func invented(desc []byte, slot int, raw []byte) []byte {
	d, err := protocol.ParseDescriptor(desc)
	if err != nil || slot < 0 || slot >= len(d.Roots) {
		return desc
	}
	_, d.Roots[slot] = protocol.Outboard(raw)
	b, _ := d.Encode()
	return b
}

// swapped returns a copy whose first half is the second.
func swapped(b []byte) []byte {
	b = bytes.Clone(b)
	half := len(b) / 2
	copy(b[:half], b[len(b)-half:])
	return b
}

// Have claims everything, or nothing.
func (h *handler) Have(ctx context.Context, from protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	if err := h.early(ctx, from); err != nil {
		return nil, err
	}
	if h.lie == WrongBytes || h.lie == Swap || h.lie == Invent {
		all := *r // asks for the digests, to falsify them
		all.Root = nil
		r = &all
	}
	m, err := h.Handler.Have(ctx, from, r)
	if err != nil {
		return m, err
	}
	switch h.lie {
	case WrongBytes, Swap:
		m.FactDigests, m.SegmentDigests = bytes.Clone(m.FactDigests), bytes.Clone(m.SegmentDigests)
		h.scramble(m.FactDigests)
		h.scramble(m.SegmentDigests)
		for i := range m.Facts {
			h.scramble(m.Facts[i][:])
		}
	case Boast:
		for i := range m.Held {
			m.Held[i] = true
		}
	}
	if h.lie == Swap || h.lie == Invent {
		h.strew(m, r)
	}
	return m, nil
}

// strew fills a list of segments with names that nobody ever granted.
func (h *handler) strew(m *protocol.HaveReply, r *protocol.HaveRequest) {
	if len(m.SegmentDigests) > 0 {
		m.SegmentDigests = bytes.Clone(m.SegmentDigests)
		h.scramble(m.SegmentDigests)
	}
	if len(r.Segments) == 0 {
		return
	}
	m.Segments, m.SegmentsDone = make([]protocol.SegmentID, strewn), 1
	for i := range m.Segments {
		h.scramble(m.Segments[i][:])
		m.Segments[i][0] = byte(r.Segments[0])
	}
	slices.SortFunc(m.Segments, func(a, b protocol.SegmentID) int { return bytes.Compare(a[:], b[:]) })
}

// strewn is how many names of segments one false page lists.
const strewn = 4000

// Members names false members.
func (h *handler) Members(ctx context.Context, from protocol.Remote, r *protocol.MembersRequest) (*protocol.MembersReply, error) {
	if err := h.early(ctx, from); err != nil {
		return nil, err
	}
	m, err := h.Handler.Members(ctx, from, r)
	if err != nil {
		return m, err
	}
	switch h.lie {
	case WrongBytes:
		m.Table = bytes.Clone(m.Table)
		h.scramble(m.Table[len(m.Table)/2:])
	case Swap, Boast:
		for i := range m.Members {
			m.Members[i].Envelope = m.Members[(i+1)%len(m.Members)].Envelope
		}
	case Recruit:
		h.recruit(m)
	}
	return m, nil
}

// Facts hides and falsifies.
func (h *handler) Facts(ctx context.Context, from protocol.Remote, r *protocol.FactsRequest) (*protocol.FactsReply, error) {
	if err := h.early(ctx, from); err != nil && (h.lie != Deny || len(r.Offer) == 0) {
		return nil, err
	}
	if h.lie == Forget && len(r.Offer) > 0 {
		return &protocol.FactsReply{Results: make([]protocol.Code, len(r.Offer))}, nil
	}
	m, err := h.Handler.Facts(ctx, from, r)
	if err != nil {
		return m, err
	}
	for i, f := range m.Facts {
		switch {
		case h.lie == WrongBytes && f.Kind == protocol.FactPointer:
			f.Bytes = bytes.Clone(f.Bytes)
			h.scramble(f.Bytes[len(f.Bytes)/2:])
			m.Facts[i] = f
		case h.lie == Swap:
			m.Facts[i].Kind = f.Kind%7 + 1
		}
	}
	return m, nil
}
