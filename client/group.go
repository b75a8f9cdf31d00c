package client

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// ownGroup is a group of this owner, open for this session's puts.
type ownGroup struct {
	owner       *Owner
	id          protocol.GroupID
	record      *protocol.GroupRecord
	table       *protocol.Table
	profile     protocol.Profile
	ownerKey    ed25519.PrivateKey
	renewKey    ed25519.PrivateKey
	mu          sync.Mutex
	state       *groupState // guarded by mu
	networkName string
}

// openState returns a group of the journal, of any network, checked and with its
// keys. Concurrent puts get the same ownGroup: each must count what the other grants.
func (o *Owner) openState(s *groupState) (*ownGroup, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if g := o.open[s.Nonce]; g != nil {
		return g, nil
	}
	rec, err := s.record()
	var id protocol.GroupID
	if err == nil {
		rec, id, err = protocol.ParseGroupRecord(rec.Network, s.Record)
	}
	if err != nil {
		return nil, fmt.Errorf("open group of the journal: %w", err)
	}
	table, err := protocol.OpenTable(rec, id, s.Table)
	if err != nil {
		return nil, fmt.Errorf("open group %s: %w", id, err)
	}
	g := &ownGroup{
		owner: o, id: id, record: rec, table: table, profile: table.Profile, state: s, networkName: rec.Network,
		ownerKey: o.bundle.OwnerKey(s.Nonce), renewKey: o.bundle.RenewKey(s.Nonce),
	}
	o.open[s.Nonce] = g
	return g, nil
}

// record returns the group's record as it was noted, unchecked.
func (s *groupState) record() (*protocol.GroupRecord, error) {
	rec := new(protocol.GroupRecord)
	return rec, protocol.Decode("group", s.Record, rec)
}

func (s *groupState) id() protocol.GroupID { return protocol.GroupID(protocol.Sum(s.Record)) }

// holders returns the members by slot; "" where the slot is vacant.
func (g *ownGroup) holders() []peer.ID {
	out := make([]peer.ID, g.profile.N)
	for i := range out {
		out[i] = g.table.Holder(i)
	}
	return out
}

// hasRoom reports whether one more full segment may be granted.
func (g *ownGroup) hasRoom() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.state.Closed && g.state.Segments < group.MaxSegments && g.state.Pointers < protocol.MaxGroupPointers &&
		g.state.Bytes+segmentSize(g.profile.K) <= group.MaxBytes(g.profile)
}

// grant counts a segment of a put, in the journal, and then signs its grant.
func (g *ownGroup) grant(put putID, s *segment) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.Segments++
	g.state.Bytes += s.desc.Size
	if err := g.owner.saveGrant(put, g.state, heldSegment{Group: g.id, Segment: s.id}); err != nil {
		return nil, err
	}
	return protocol.SignGrant(g.ownerKey, g.networkName, g.id, s.id[:], s.desc.Footprint()), nil
}

// close makes the group take no new segments from now on.
func (g *ownGroup) close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.Closed = true
	return g.owner.saveGroup(g.state)
}

// isClosed reports whether the group takes no new segments.
func (g *ownGroup) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state.Closed
}

// setEnvelope keeps a member's newest peer record.
func (g *ownGroup) setEnvelope(slot int, e protocol.Envelope) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.Envelopes[slot] = e
	return g.owner.saveGroup(g.state)
}

// foundingFacts returns the facts of the group that a member must know first.
func (g *ownGroup) foundingFacts() []protocol.Fact {
	g.mu.Lock()
	defer g.mu.Unlock()
	facts := []protocol.Fact{
		{Kind: protocol.FactRecord, Bytes: g.state.Record},
		{Kind: protocol.FactTable, Bytes: g.state.Table},
	}
	for _, e := range g.state.Envelopes {
		if len(e) > 0 {
			facts = append(facts, protocol.Fact{Kind: protocol.FactEnvelope, Bytes: e})
		}
	}
	return facts
}

// hints returns addresses of at most most members, one of each. The last slots
// come first: readers ask the data slots' holders for bytes anyway, and when these
// are gone somebody must be left to name the others.
func (g *ownGroup) hints(most int) [][]byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out [][]byte
	for _, e := range slices.Backward(g.state.Envelopes) {
		rec, err := protocol.Envelope(e).Open()
		if err != nil || len(rec.Addrs) == 0 || len(out) == most {
			continue
		}
		addrs, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: rec.Peer, Addrs: rec.Addrs[:1]})
		if err == nil {
			out = append(out, addrs[0].Bytes())
		}
	}
	return out
}
