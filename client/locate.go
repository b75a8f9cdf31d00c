package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/erasure"
)

// Bounds of locating a group.
const (
	locateTimeout  = time.Minute
	refreshTimeout = 6 * time.Second
	surveyTimeout  = 6 * time.Second // for members to say who holds what
)

// locator keeps what a session found out about groups and segments, so that
// nothing is looked for twice.
type locator struct {
	c       *Client
	buffers *buffers
	kept    *kept

	mu      sync.Mutex
	groups  map[protocol.GroupPrefix]*foundGroup
	flights map[protocol.GroupID]chan struct{} // closed when a search ends
	sources map[protocol.SegmentID]*source
	codes   map[[2]int]*erasure.Code
	highest map[protocol.PointerID]int64 // seq; an older record is a rollback
}

func (l *locator) init(c *Client) {
	l.c, l.buffers = c, newBuffers(keptBuffers)
	l.kept = newKept(l.buffers, keptBytes)
	l.groups = make(map[protocol.GroupPrefix]*foundGroup)
	l.flights = make(map[protocol.GroupID]chan struct{})
	l.sources = make(map[protocol.SegmentID]*source)
	l.codes = make(map[[2]int]*erasure.Code)
	l.highest = make(map[protocol.PointerID]int64)
}

// known returns a group found before, or nil.
func (l *locator) known(p protocol.GroupPrefix) *foundGroup {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.groups[p]
}

// take verifies record and table of the group that prefix names and keeps
// them. There is only one true table, so the first is as good as any.
func (l *locator) take(prefix protocol.GroupPrefix, record, table []byte) (*foundGroup, error) {
	if g := l.known(prefix); g != nil {
		return g, nil
	}
	rec, id, err := protocol.ParseGroupRecord(l.c.cfg.Network, record)
	if err != nil {
		return nil, err
	}
	if id.Prefix() != prefix {
		return nil, fmt.Errorf("record of group %s: %w", prefix, protocol.ErrForged)
	}
	t, err := protocol.OpenTable(rec, id, table)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.groups[prefix]; g != nil {
		return g, nil
	}
	g := newFoundGroup(id, rec, t)
	l.groups[prefix] = g
	return g, nil
}

// locate returns the group of an extent, which peers show to anybody who proves the
// right to read its segment. It returns ErrNoPeers where nobody answers, ErrTooFew where
// peers are said to hold the group and do not answer, else ErrNotFound.
func (l *locator) locate(ctx context.Context, e *protocol.Extent, hints []peer.AddrInfo) (*foundGroup, error) {
	for {
		l.mu.Lock()
		g, busy := l.groups[e.Group.Prefix()], l.flights[e.Group]
		if g == nil && busy == nil {
			busy = make(chan struct{})
			l.flights[e.Group] = busy
			l.mu.Unlock()
			return l.fly(ctx, e, hints, busy)
		}
		l.mu.Unlock()
		if g != nil {
			if g.id != e.Group {
				return nil, fmt.Errorf("group %s: %w", e.Group, ErrDamaged)
			}
			return g, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// fly makes the one search for a group that all callers of locate wait for.
func (l *locator) fly(ctx context.Context, e *protocol.Extent, hints []peer.AddrInfo, done chan struct{}) (*foundGroup, error) {
	defer func() {
		l.mu.Lock()
		delete(l.flights, e.Group)
		l.mu.Unlock()
		close(done)
	}()
	sctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	s := l.membersSearch(e, func(s *search, _ *foundGroup) { s.stop() })
	s.guesses = l.neighbours()
	s.run(sctx, hints)
	if g := l.known(e.Group.Prefix()); g != nil {
		return g, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return nil, s.nothing(fmt.Sprintf("find group %s", e.Group.Prefix()))
}

// neighbours returns members of groups known already: in a small network they
// are often members of the next one, too.
func (l *locator) neighbours() []peer.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []peer.ID
	for _, g := range l.groups {
		if out = append(out, g.members()...); len(out) >= protocol.MaxShards {
			break
		}
	}
	return out
}

// refresh asks a group's members and everybody else for the newest addresses of its
// members, until enough have given a true answer.
func (l *locator) refresh(ctx context.Context, g *foundGroup, e *protocol.Extent, enough int) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	var mu sync.Mutex
	answered := 0
	s := l.membersSearch(e, func(s *search, _ *foundGroup) {
		mu.Lock()
		defer mu.Unlock()
		if answered++; answered >= enough {
			s.stop()
		}
	})
	s.named = append(g.witnesses(), g.members()...)
	s.run(ctx, nil)
}

// survey asks every member, and every peer that one of them names, which peers hold
// the group's slots.
func (l *locator) survey(ctx context.Context, g *foundGroup, e *protocol.Extent) {
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	var s *search
	offer := func() {
		for slot := range g.table.Slots {
			for _, id := range g.holders(slot) {
				s.offer(id, true)
			}
		}
	}
	s = l.membersSearch(e, func(*search, *foundGroup) { offer() })
	s.named = append(g.witnesses(), g.members()...)
	s.runNamed(ctx)
}

// membersSearch asks peers for the members of an extent's group, and calls answer
// each time one has given a true answer.
func (l *locator) membersSearch(e *protocol.Extent, answer func(*search, *foundGroup)) *search {
	req := protocol.MembersRequest{Group: e.Group, Segment: e.Segment, Proof: l.proof(e)}
	var s *search
	s = l.c.newSearch(e.Group.Prefix(), func(ctx context.Context, id peer.ID) error {
		r := req
		m, err := l.c.call.Members(ctx, id, &r)
		if err != nil {
			return err
		}
		g, err := l.take(e.Group.Prefix(), m.Record, m.Table)
		if err != nil {
			return err
		}
		g.hear(l.c, id, m.Members)
		answer(s, g)
		return nil
	})
	return s
}

// proof returns a signed proof of this session's right to read an extent's segment.
func (l *locator) proof(e *protocol.Extent) []byte {
	return protocol.SignRead(seal.ReadKey(seal.Key(e.Secret)), l.c.cfg.Network, e.Segment, l.c.net.Self())
}

// nothing says why a search found nothing.
func (s *search) nothing(op string) error {
	answered, silent := s.answered.Load(), s.silent.Load()
	switch {
	case answered == 0 && silent == 0 && len(s.c.net.Known()) == 0:
		return fmt.Errorf("%s: %w", op, ErrNoPeers)
	case answered == 0:
		return fmt.Errorf("%s: none of the peers known answers: %w", op, ErrNoPeers)
	case silent > 0:
		return fmt.Errorf("%s: %d peers are said to hold it and do not answer: %w", op, silent, ErrTooFew)
	}
	return fmt.Errorf("%s: %d peers answered and none knows it: %w", op, answered, ErrNotFound)
}

// code returns the coder of a profile; making one is expensive.
func (l *locator) code(k, n int) (*erasure.Code, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.codes[[2]int{k, n}]; c != nil {
		return c, nil
	}
	c, err := erasure.New(k, n)
	if err != nil {
		return nil, fmt.Errorf("code %d of %d: %w", k, n, err)
	}
	l.codes[[2]int{k, n}] = c
	return c, nil
}

// noteSeq keeps the highest seq seen of a pointer and reports whether seq is
// not below it.
func (l *locator) noteSeq(id protocol.PointerID, seq int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq < l.highest[id] {
		return false
	}
	l.highest[id] = seq
	return true
}

// hintInfos reads hints and skips those that are not addresses.
func hintInfos(raw [][]byte) []peer.AddrInfo {
	var out []peer.AddrInfo
	for _, b := range raw {
		m, err := protocol.ParseHint(b)
		if err != nil {
			continue
		}
		if info, err := peer.AddrInfoFromP2pAddr(m); err == nil {
			out = append(out, *info)
		}
	}
	return out
}
