package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// wanted is what a put needs of a group.
type wanted struct {
	profile protocol.Profile // zero: the ladder decides by today's network
	size    int64            // bytes to come; -1: unknown
}

// shareOf returns the bytes that one member will keep for size sealed bytes.
func (w wanted) shareOf(p protocol.Profile) int64 {
	size := w.size
	if size < 0 {
		size = segmentSize(p.K)
	}
	return group.ShareOf(p, size)
}

// draw is a group chosen for a put, and what its owner should know of the
// choice.
type draw struct {
	group    *ownGroup
	private  bool // every peer counted as a failure domain of its own
	warnings []string
}

// drawFor is how long one look at the network serves the puts of a session:
// many small puts would spend most of their time on looking.
const drawFor = 30 * time.Second

// recentDraw is the group that a session chose last.
type recentDraw struct {
	mu   sync.Mutex
	at   time.Time
	want wanted
	draw draw
}

// get returns the group chosen last, and whether it serves this put, too: it still
// takes segments, and the put asks for no more than the one before.
func (r *recentDraw) get(now time.Time, w wanted) (draw, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := r.draw.group != nil && now.Sub(r.at) < drawFor && r.draw.group.hasRoom()
	asks := w.profile == r.want.profile && (w.size == r.want.size || w.size >= 0 && w.size < r.want.size)
	return r.draw, fresh && asks
}

func (r *recentDraw) set(now time.Time, w wanted, d draw) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.want, r.draw = now, w, d
}

// chooseGroup returns an open group that fits, or forms one. Where no node takes
// part in a new one, it can tell which open group fits only if a profile was asked
// for.
func (c *Client) chooseGroup(ctx context.Context, w wanted) (draw, error) {
	cands, none := c.candidates(ctx)
	if none != nil && (w.profile == (protocol.Profile{}) || errors.Is(none, ErrNoPeers) || ctx.Err() != nil) {
		return draw{}, fmt.Errorf("choose a group: %w", none)
	}
	floor, err := c.floor(cands, w)
	if err != nil {
		return draw{}, err
	}
	d := draw{private: group.Private(cands)}
	if few, warn := group.HostileHint(cands, d.private); warn {
		d.warnings = append(d.warnings, fmt.Sprintf("all %d nodes found lie in %d address ranges: somebody may be showing you only their own", len(cands), few))
	}
	d.group, err = c.reuse(ctx, w, floor)
	switch {
	case d.group != nil || err != nil:
	case none != nil:
		err = fmt.Errorf("choose a group: %w", none)
	default:
		d.group, err = c.form(ctx, cands, w, floor)
	}
	return d, err
}

// floor returns the profile asked for, or the one that today's failure domains
// allow.
func (c *Client) floor(cands []group.Candidate, w wanted) (protocol.Profile, error) {
	if w.profile != (protocol.Profile{}) {
		return w.profile, w.profile.Validate()
	}
	private := group.Private(cands)
	p, ok := group.Ladder(group.Domains(withRoom(cands, w, protocol.Profile{K: 1, R: 1, N: 1}), private))
	for ok {
		// A higher profile puts less on each node: count the nodes that have
		// room for a share of this profile.
		q, more := group.Ladder(group.Domains(withRoom(cands, w, p), private))
		if !more || q == p {
			break
		}
		p = q
	}
	if !ok {
		return p, fmt.Errorf("choose a group among %d nodes: %w", len(cands), ErrNetworkFull)
	}
	return p, nil
}

func withRoom(cands []group.Candidate, w wanted, p protocol.Profile) []group.Candidate {
	need := w.shareOf(p)
	return slices.DeleteFunc(slices.Clone(cands), func(c group.Candidate) bool { return c.Free < need })
}

// reuse returns, of the open groups of which enough members answer, the one with
// the highest profile that is not below floor, or nil.
func (c *Client) reuse(ctx context.Context, w wanted, floor protocol.Profile) (*ownGroup, error) {
	states, err := c.cfg.Owner.groups()
	if err != nil {
		return nil, err
	}
	var open []*ownGroup
	for _, s := range states {
		if s.Closed {
			continue
		}
		g, err := c.cfg.Owner.openState(s)
		if err != nil {
			return nil, err
		}
		if c.elsewhere(g) == nil && g.hasRoom() && fits(g.profile, floor, w) {
			open = append(open, g)
		}
	}
	slices.SortStableFunc(open, func(a, b *ownGroup) int { return b.profile.N - a.profile.N })
	for some := range slices.Chunk(open, syncAtOnce) {
		if g := c.firstAlive(ctx, some); g != nil {
			return g, nil
		}
	}
	return nil, nil
}

// syncAtOnce is how many groups are asked at a time: each dead one costs the whole
// timeout, and an owner may have many.
const syncAtOnce = 8

// firstAlive returns the first group of which enough members answer, or nil.
func (c *Client) firstAlive(ctx context.Context, groups []*ownGroup) *ownGroup {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	alive := make([]chan bool, len(groups))
	for i, g := range groups {
		alive[i] = make(chan bool, 1)
		wg.Go(func() { alive[i] <- c.sync(ctx, g) >= group.SafeAt(g.profile) })
	}
	for i, g := range groups {
		if <-alive[i] {
			return g
		}
	}
	return nil
}

func fits(p, floor protocol.Profile, w wanted) bool {
	if w.profile != (protocol.Profile{}) {
		return p == w.profile
	}
	return p.N >= floor.N
}
