package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
)

// How long co-members may take over shards (docs/decisions/0044).
const (
	// shardSlack is what one shard may take besides the time that its bytes are
	// on their way: to dial the peer, and to wait for its line, memory and disk.
	shardSlack = 30 * time.Second
	// gatherSlack is the same for all the shards from which one is made.
	gatherSlack = 2 * time.Minute
	// borrowsAtOnce is how many co-members lend shards of one segment at a time,
	// firstBorrows how many do while its descriptor is not known: one that stalls
	// must not keep the others waiting.
	borrowsAtOnce = 8
	firstBorrows  = 4
	// stallsPutOff is for how many times Timing.RepairEvery a segment rests that was
	// given up because too few are left that do not stall: it may have been this node's
	// own line that had a hiccup, and all others' segments with it.
	stallsPutOff = 4
)

// shardTimeout is how long a peer has to give or take a shard of a number of bytes:
// enough at the least rate of SPEC.md, Streams.
func shardTimeout(bytes int64) time.Duration { return shardSlack + protocol.TransferTime(bytes) }

// gatherTimeout is how long k shards, with a number of bytes in all, may take
// together, even if they come one after the other at the least rate. A peer that
// stalls uses up the slack, and no more.
func gatherTimeout(bytes int64) time.Duration { return gatherSlack + protocol.TransferTime(bytes) }

// moveShard gives or takes a shard within the time that it may take. A peer that
// lets most of the slack go by and then fails has stalled.
func (n *Node) moveShard(ctx context.Context, with peer.ID, bytes int64, move func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, shardTimeout(bytes))
	defer cancel()
	begun := n.neighbours.Now()
	err := move(ctx)
	if now := n.neighbours.Now(); err != nil && now-begun >= shardSlack {
		n.stalls.until(with, now+n.cfg.Timing.RepairDay/4, now)
	}
	return err
}

// stalled reports whether a peer stalled lately: it is asked after all others.
func (n *Node) stalled(id peer.ID) bool { return n.stalls.resting(id, n.neighbours.Now()) }

// stalledNow reports whether a peer stalled in this round of repair, or about as
// long ago: it is not asked at all.
func (n *Node) stalledNow(id peer.ID) bool {
	t := &n.cfg.Timing
	return n.stalls.resting(id, n.neighbours.Now()+t.RepairDay/4-t.RepairEvery)
}

// lendersFirst puts the lenders that have not stalled lately first.
func (n *Node) lendersFirst(all []neighbours.Holder) []neighbours.Holder {
	out := make([]neighbours.Holder, 0, len(all))
	for _, late := range []bool{false, true} {
		for _, h := range all {
			if n.stalled(h.Peer) == late {
				out = append(out, h)
			}
		}
	}
	return out
}
