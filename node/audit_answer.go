package node

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/fair"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

const (
	// pendingFor is how long a challenge that was taken waits for its Reveal.
	pendingFor = 30 * time.Second
	// maxPending bounds the challenges that wait, of all peers together; beyond it
	// those of the most crowded give way.
	maxPending = 1024
	// maxReveals is how often one challenge is answered.
	maxReveals = 2
	// proofRoom is the memory, in bytes, that it takes to make proofs, one after
	// another, besides the proofs: a leaf, and an outboard of a parent for each leaf.
	proofRoom = protocol.LeafSize + protocol.MaxShardSize/protocol.LeafSize*64
)

// pendings are the challenges that were taken and not yet revealed, one a peer.
type pendings struct {
	mu sync.Mutex
	t  *fair.Table[peer.ID, crowd, *pending]
}

type pending struct {
	request *protocol.AuditRequest
	nonce   protocol.Half
	owed    []bool // of the request's shards
	until   time.Time
	reveals int
}

func newPendings() *pendings {
	return &pendings{t: fair.NewTable[peer.ID, crowd, *pending](maxPending, fair.Oldest, nil)}
}

// same returns a peer's challenge if it is this very one: a request that was
// lost comes again.
func (p *pendings) same(id peer.ID, r *protocol.AuditRequest, now time.Time) *pending {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, _ := p.t.Get(id); v.waits(now) && v.request.Group == r.Group && v.request.Commit == r.Commit && slices.Equal(v.request.Shards, r.Shards) {
		return v
	}
	return nil
}

// waits reports whether a challenge is not too old.
func (v *pending) waits(now time.Time) bool {
	return v != nil && !now.After(v.until) && v.until.Sub(now) <= pendingFor
}

// put keeps a peer's challenge, which counts for some crowds, instead of an
// earlier one.
func (p *pendings) put(id peer.ID, v *pending, now time.Time, in []crowd) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other, v := range p.t.All() {
		if v.waits(now) {
			break
		}
		p.t.Delete(other)
	}
	if !p.t.Put(id, v, in...) {
		return protocol.Refuse(protocol.CodeUnavailable, "too many audits at once")
	}
	return nil
}

// take returns a peer's challenge, no more often than maxReveals: one that was
// answered stays a while, because replies get lost.
func (p *pendings) take(id peer.ID, now time.Time) *pending {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, _ := p.t.Get(id)
	if !v.waits(now) {
		p.t.Delete(id)
		return nil
	}
	if v.reveals++; v.reveals >= maxReveals {
		p.t.Delete(id)
	}
	return v
}

// Audit takes a member's challenge: it uses up what is owed of the shards that
// it names, so that nobody picks a chunk by asking again, and gives this node's
// half.
func (n *Node) Audit(ctx context.Context, from protocol.Remote, r *protocol.AuditRequest) (*protocol.AuditReply, error) {
	now := n.now()
	if p := n.pendings.same(from.Peer, r, now); p != nil {
		return &protocol.AuditReply{Nonce: p.nonce[:]}, nil
	}
	owed, err := n.neighbours.Allow(r, from.Peer, func(s protocol.SegmentID) bool {
		_, err := n.store.Find(ctx, s)
		return !errors.Is(err, storage.ErrNotFound)
	})
	if err != nil {
		return nil, err
	}
	nonce, err := protocol.DrawHalf(n.entropy)
	if err != nil {
		return nil, err
	}
	p := &pending{request: r, nonce: nonce, owed: owed, until: now.Add(pendingFor)}
	if err := n.pendings.put(from.Peer, p, now, crowdsOf(r.Group, from)); err != nil {
		return nil, err
	}
	return &protocol.AuditReply{Nonce: nonce[:]}, nil
}

// Reveal answers the challenge that the peer's last Audit announced: of each
// shard the chunk that both halves select, or why not.
func (n *Node) Reveal(ctx context.Context, from protocol.Remote, r *protocol.RevealRequest) (*protocol.RevealReply, []byte, func(), error) {
	p := n.pendings.take(from.Peer, n.now())
	if p == nil { // it may have had to give way: that says nothing of the shards
		return nil, nil, nil, protocol.Refuse(protocol.CodeUnavailable, "no challenge of yours waits")
	}
	if err := protocol.CheckCommit(p.request.Commit, r.Secret); err != nil {
		return nil, nil, nil, err
	}
	free, err := n.gate.Body(ctx, from, proofRoom+int64(len(p.owed))*protocol.MaxChunkSlice)
	if err != nil {
		return nil, nil, nil, err
	}
	reply := &protocol.RevealReply{}
	var raw []byte
	c := protocol.Challenge{Secret: r.Secret, Nonce: p.nonce}
	for i, ref := range p.request.Shards {
		var slice []byte
		err := error(protocol.Refuse(protocol.CodeCapped, "you have had your audit of this shard"))
		if p.owed[i] {
			slice, err = n.prove(ctx, p.request.Group, ref, c)
		}
		code := protocol.Code(0)
		if err != nil {
			code, slice = protocol.CodeOf(err), nil
		} else {
			n.neighbours.Convinced(p.request.Group, from.Peer)
		}
		reply.Results, reply.Lengths = append(reply.Results, code), append(reply.Lengths, len(slice))
		raw = append(raw, slice...)
	}
	n.count.proved.Add(int64(len(p.owed)))
	n.count.sent.Add(int64(len(raw)))
	return reply, raw, free, nil
}

// prove cuts the slice of the challenged chunk of one shard, out of its leaf. It
// admits damage to the shard that is known, or that shows in that leaf.
func (n *Node) prove(ctx context.Context, g protocol.GroupID, ref protocol.ShardRef, c protocol.Challenge) ([]byte, error) {
	if n.frees.has(kin{g, ref.Segment}) {
		return nil, protocol.Refuse(protocol.CodeDeleted, "segment %s", ref.Segment)
	}
	sh, err := n.openShard(ctx, ref.Segment, ref.Slot)
	if err != nil {
		n.notice(ctx, g, ref, err)
		return nil, err
	}
	defer func() { _ = sh.Close() }()
	info := sh.Info()
	if info.Group != g {
		return nil, protocol.Refuse(protocol.CodeNotFound, "segment %s is another group's here", ref.Segment)
	}
	if n.scrub.isDamaged(info.Key) {
		return nil, protocol.Refuse(protocol.CodeCorrupt, "segment %s", ref.Segment)
	}
	d, err := protocol.OpenDescriptor(sh.Descriptor(), ref.Segment)
	if err != nil {
		return nil, protocol.Refuse(protocol.CodeCorrupt, "descriptor of %s", ref.Segment)
	}
	size, root, chunk := d.ShardSize, d.Roots[info.Key.Slot], c.Chunk(ref, d.ShardSize)
	off, length := protocol.ChunkRange(chunk, size)
	off, length = protocol.AlignRange(off, length, size)
	leaf := n.buffers.Get(length)
	defer n.buffers.Put(leaf)
	if _, err := io.ReadFull(io.NewSectionReader(sh, off, length), *leaf); err != nil {
		return nil, n.misread(ctx, sh, "read leaf", err)
	}
	return n.cut(ctx, sh, func(outboard []byte) ([]byte, error) {
		return protocol.ChunkSlice(*leaf, outboard, chunk, size, root)
	})
}

// notice notes that a shard which should be here is not, so that it is mended.
func (n *Node) notice(ctx context.Context, id protocol.GroupID, ref protocol.ShardRef, why error) {
	if code := protocol.CodeOf(why); code != protocol.CodeNotFound && code != protocol.CodeCorrupt {
		return
	}
	g, release, err := n.groups.Open(ctx, id)
	if err != nil {
		return
	}
	defer release()
	if key, _, ok := g.KeyOf(ref.Segment); ok && int(key.Slot) == ref.Slot {
		n.shardDamaged(ctx, id, key, why)
	}
}
