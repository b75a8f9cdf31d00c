package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// listingMember is a member that lists a peer at this node's slot, or not, and has all
// shards.
type listingMember struct {
	protocol.Handler
	successor protocol.Envelope // nil: not listed
	handed    int
}

func (l *listingMember) Members(context.Context, protocol.Remote, *protocol.MembersRequest) (*protocol.MembersReply, error) {
	m := new(protocol.MembersReply)
	if l.successor != nil {
		m.Members = []protocol.Member{{Slot: ownSlot, Envelope: l.successor}}
	}
	return m, nil
}

func (l *listingMember) Enter(context.Context, protocol.Remote, *protocol.EnterRequest) (*protocol.EnterReply, error) {
	l.handed++
	return new(protocol.EnterReply), nil
}

func (l *listingMember) Have(_ context.Context, _ protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	return &protocol.HaveReply{Held: make([]bool, len(r.Named))}, nil
}

func (l *listingMember) Facts(_ context.Context, _ protocol.Remote, r *protocol.FactsRequest) (*protocol.FactsReply, error) {
	return &protocol.FactsReply{Results: make([]protocol.Code, len(r.Offer))}, nil
}

// A node that leaves waits three days for a member that does not list its successor,
// and gives the successor the handover again every six hours.
func TestLeavesAfterThreeDays(t *testing.T) {
	self := newIdentity(t, seeded(t, 940))
	w := newWorld(t, 940, func(c *Config) {
		c.Key = self.key
		c.Net.(*fakeNet).identity = self
	})
	o := w.newOwner().found()
	next := newIdentity(t, w.r)
	env := next.envelope(t, 1, "/ip4/10.0.0.9/tcp/1")
	successor := new(listingMember)
	w.net.peers[next.id] = successor
	answer := func() {
		for i, m := range o.members {
			if m.id == w.net.id {
				continue
			}
			l := new(listingMember)
			if i > 0 {
				l.successor = env
			}
			w.net.peers[m.id] = l
			w.node.neighbours.Beaten(m.id, &protocol.Beat{Clock: w.clock.now().Unix()})
		}
	}
	answer()
	s, h := w.node.successors.(*succession), w.node.handings.get(o.id)
	note := handingNote{Successor: []byte(next.id), Envelope: env, Stage: handingGiven}
	if err := w.node.noteHanding(t.Context(), o.id, h, note); err != nil {
		t.Fatal(err)
	}
	hours := 0
	for ; hours < 100; hours++ {
		answer()
		if err := s.awaitEntry(t.Context(), w.node.neighbours.Roll(o.id), h); !errors.Is(err, errUnderWay) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		w.clock.step(time.Hour)
	}
	if hours != 72 {
		t.Errorf("it left after %d hours", hours)
	}
	if successor.handed != 13 {
		t.Errorf("the handover was given %d times", successor.handed)
	}
}
