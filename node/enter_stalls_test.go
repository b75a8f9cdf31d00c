package node

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// silentMember answers no question in time.
type silentMember struct {
	protocol.Handler
	asked *atomic.Int32
}

func (s silentMember) Enter(context.Context, protocol.Remote, *protocol.EnterRequest) (*protocol.EnterReply, error) {
	s.asked.Add(1)
	time.Sleep(2 * askTimeout)
	return nil, protocol.ErrUnavailable
}

func (s silentMember) Members(context.Context, protocol.Remote, *protocol.MembersRequest) (*protocol.MembersReply, error) {
	time.Sleep(2 * askTimeout)
	return nil, protocol.ErrUnavailable
}

// knowsAll answers who the members are.
type knowsAll struct{ protocol.Handler }

func (knowsAll) Members(context.Context, protocol.Remote, *protocol.MembersRequest) (*protocol.MembersReply, error) {
	return new(protocol.MembersReply), nil
}

// Members that stall requests to enter keep those of other groups waiting for little
// more than a minute, and each member is asked all the same.
func TestStallingMembersAreAskedInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 920, func(c *Config) { c.Now = time.Now })
		p := protocol.Profile{K: 26, R: 70, N: 128}
		o := w.around(p)
		asked := new(atomic.Int32)
		for _, m := range o.members {
			w.net.peers[m.id] = silentMember{asked: asked}
		}
		var others []peer.ID
		for _, m := range o.members {
			if m.id != w.net.id {
				others = append(others, m.id)
			}
		}
		w.node.entering.add(o.id, others, w.node.neighbours.Now())
		rounds := 0
		for ; int(asked.Load()) < len(others) && rounds < 20; rounds++ {
			begun := time.Now()
			w.node.enterOnce(t.Context())
			if took := time.Since(begun); took > enterWithin+askTimeout {
				t.Errorf("a round takes %v", took)
			}
			time.Sleep(w.node.cfg.Timing.UpkeepEvery)
		}
		if n := int(asked.Load()); n != len(others) {
			t.Errorf("%d of %d members are asked in %d rounds", n, len(others), rounds)
		}
		w.node.caller.Close()
		time.Sleep(time.Minute)
	})
}

// And a node that asks who the members are soon finds the one that answers.
func TestStallingMembersHideNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 921, func(c *Config) { c.Now = time.Now })
		o := w.around(protocol.Profile{K: 26, R: 70, N: 128})
		for _, m := range o.members {
			w.net.peers[m.id] = silentMember{asked: new(atomic.Int32)}
		}
		honest := o.members[77].id
		w.net.peers[honest] = knowsAll{}
		begun := time.Now()
		w.node.meetMembers(t.Context(), o.id)
		if took := time.Since(begun); took > (128/asksAtOnce+3)*askTimeout {
			t.Errorf("it took %v", took)
		}
		w.node.caller.Close()
		time.Sleep(time.Minute)
	})
}
