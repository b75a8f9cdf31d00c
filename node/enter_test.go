package node

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	dto "github.com/prometheus/client_model/go"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"
)

// A peer enters by its own request, where the slot is vacant as this node sees
// it, or by its holder's signed word; nobody else's word counts.
func TestEnterChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
		time.Sleep(time.Hour)
		here, holder, other := h.all[0], h.all[1], h.all[2]
		stranger := h.net.Peer(memnet.PeerConfig{}).Self()
		sign := func(by *villager, slot int, to peer.ID) []byte {
			b, err := protocol.SignHandover(by.peer.Key(), network, h.id, slot, to)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		for _, c := range []struct {
			name     string
			from     peer.ID
			group    protocol.GroupID
			slot     int
			handover []byte
			want     error // nil: yes
		}{
			{"another group", stranger, protocol.GroupID{1}, 1, nil, protocol.ErrNotFound},
			{"a slot with a holder", stranger, h.id, 1, nil, protocol.ErrDisputed},
			{"no such slot", stranger, h.id, 5, nil, protocol.ErrMalformed},
			{"who holds another slot", other.peer.Self(), h.id, 1, nil, protocol.ErrWrongSlot},
			{"who holds it", holder.peer.Self(), h.id, 1, nil, nil},
			{"a handover by another", stranger, h.id, 1, sign(other, 1, stranger), protocol.ErrDenied},
			{"a handover of another slot", stranger, h.id, 1, sign(holder, 2, stranger), protocol.ErrDenied},
			{"a handover to another", stranger, h.id, 1, sign(holder, 1, other.peer.Self()), protocol.ErrDenied},
			{"a handover of this node's own slot", stranger, h.id, 0, sign(holder, 0, stranger), protocol.ErrDenied},
			{"a handover", stranger, h.id, 1, sign(holder, 1, stranger), nil},
		} {
			_, err := here.node.Enter(t.Context(), protocol.Remote{Peer: c.from}, &protocol.EnterRequest{Group: c.group, Slot: c.slot, Handover: c.handover})
			if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v, not %v", c.name, err, c.want)
			}
		}
		if here.node.neighbours.IsMember(h.id, stranger) {
			t.Error("a peer is a member that proved nothing")
		}
		if got := here.node.neighbours.Handed(h.id, stranger, 1); got != holder.peer.Self() {
			t.Errorf("handed over by %q", got)
		}
		h.close()
	})
}

// Only a member can name a candidate, and only where the slot is vacant; the first
// that is named stays for its time.
func TestNominateChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
		time.Sleep(time.Hour)
		here, drawer := h.all[0], h.all[2]
		one, two := h.net.Peer(memnet.PeerConfig{Server: true}), h.net.Peer(memnet.PeerConfig{Server: true})
		ask := func(from peer.ID, slot int, candidate *memnet.Peer) error {
			env, err := candidate.Envelope()
			if err != nil {
				t.Fatal(err)
			}
			_, err = here.node.Nominate(t.Context(), protocol.Remote{Peer: from}, &protocol.NominateRequest{Group: h.id, Slot: slot, Candidate: env})
			return err
		}
		if err := ask(drawer.peer.Self(), 1, one); !errors.Is(err, protocol.ErrDisputed) {
			t.Errorf("for a slot with a holder: %v", err)
		}
		h.all[1].end()
		time.Sleep(4 * day)
		if err := ask(drawer.peer.Self(), 1, two); err != nil {
			t.Errorf("for a slot whose holder is silent: %v", err)
		}
		time.Sleep(6 * day)
		if err := ask(one.Self(), 1, one); !errors.Is(err, protocol.ErrDisputed) {
			t.Errorf("by itself: %v", err)
		}
		if err := ask(drawer.peer.Self(), 1, one); err != nil {
			t.Errorf("for a vacant slot: %v", err)
		}
		if err := ask(drawer.peer.Self(), 1, two); !errors.Is(err, protocol.ErrDisputed) {
			t.Errorf("a second one: %v", err)
		}
		time.Sleep(25 * time.Hour)
		if err := ask(drawer.peer.Self(), 1, two); err != nil {
			t.Errorf("a day later: %v", err)
		}
		h.close()
	})
}

func TestRests(t *testing.T) {
	r := newRests[int]()
	r.until(1, 10, 0)
	if !r.resting(1, 9) || r.resting(1, 10) || r.resting(2, 0) {
		t.Error("a rest is not as long as it should be")
	}
	for i := range maxRests + 10 {
		r.until(i+10, 20, 11)
	}
	if len(r.m) > maxRests || r.resting(1, 11) {
		t.Errorf("%d are remembered", len(r.m))
	}
}

// The others found a node gone, and it does not know: it was cut off, and found
// nobody gone, or merely could not be reached by them. It has its slot again when
// they reach it, and the requests to enter come to an end.
func TestBackWithoutKnowing(t *testing.T) {
	for name, rule := range map[string]func(last peer.ID) func(from, to peer.ID) (memnet.Link, bool){
		"cut off": func(last peer.ID) func(from, to peer.ID) (memnet.Link, bool) {
			return func(from, to peer.ID) (memnet.Link, bool) {
				return memnet.Link{Cut: true}, from == last || to == last
			}
		},
		"not to be reached": func(last peer.ID) func(from, to peer.ID) (memnet.Link, bool) {
			return func(_, to peer.ID) (memnet.Link, bool) { return memnet.Link{Loss: 1}, to == last }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
				ctx, stop := context.WithCancel(t.Context())
				var loops sync.WaitGroup
				for _, m := range h.all {
					loops.Go(func() { m.node.enterLoop(ctx) })
				}
				time.Sleep(2 * day)
				last, others := h.all[4], h.all[:4]
				h.net.SetRule(rule(last.peer.Self()))
				time.Sleep(10 * day)
				h.want("without a way to it", others, last, liveness.Gone, false)
				for _, o := range others {
					if !last.sees(o).Member {
						t.Error("it has given another up")
					}
				}
				h.net.Heal()
				time.Sleep(15 * time.Hour)
				h.allPresent("after two beats")
				time.Sleep(day)
				var asked []float64
				for _, m := range h.all {
					asked = append(asked, m.enters())
				}
				time.Sleep(6 * day)
				for i, m := range h.all {
					if n := m.enters() - asked[i]; n > 0 {
						t.Errorf("%d was asked %v times to let somebody in, and all are members", i, n)
					}
				}
				h.allPresent("in the end")
				stop()
				loops.Wait()
				h.close()
			})
		})
	}
}

// A candidate that came too late forgets the group, with what it got of it: soon
// where nothing came, else when most members see another in the slot.
func TestLateCandidateLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
		empty, late := h.candidateFor(3), h.candidateFor(4)
		ctx, stop := context.WithCancel(t.Context())
		var loops sync.WaitGroup
		h.fill(late, 4, h.segments[0])
		late.end()
		late.start()
		for _, m := range []*villager{empty, late} {
			for _, o := range h.all {
				m.peer.Learn(o.peer.AddrInfo())
			}
			loops.Go(func() { m.node.enterLoop(ctx) })
		}
		late.node.enterAll(h.id)
		days := func(n int) {
			for range n {
				time.Sleep(day)
				for _, m := range []*villager{empty, late} {
					if err := m.node.upkeepOnce(ctx); err != nil {
						t.Error(err)
					}
				}
			}
		}
		holds := func(m *villager) bool { return m.node.neighbours.Roll(h.id) != nil }
		days(6)
		if holds(empty) || !holds(late) {
			t.Errorf("after six days: %v, %v", holds(empty), holds(late))
		}
		days(3)
		if _, err := late.store.Find(t.Context(), h.segments[0].id); holds(late) || !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("after nine days: %v, %v", holds(late), err)
		}
		h.allPresent("the others")
		stop()
		loops.Wait()
		h.close()
	})
}

// When a group has been repaired often enough, nobody of the owner's table lives
// any more: a newcomer finds the living members through the member that drew it, and,
// when that is gone too, in the DHT.
func TestMeetsWhoIsLeft(t *testing.T) {
	for _, by := range []string{"drawer", "DHT"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
				time.Sleep(time.Hour)
				left, newcomer := h.candidateFor(4), h.candidateFor(3)
				h.fill(left, 4, h.segments[0])
				g, release, err := newcomer.node.groups.Open(t.Context(), h.id)
				if err != nil {
					t.Fatal(err)
				}
				defer release()
				if by == "drawer" {
					g.Nominate(3, left.peer.Self(), newcomer.now())
					left.node.nominees.name(place{h.id, 3}, nominee{peer: newcomer.peer.Self(), until: year}, 0)
				} else if err := left.peer.Announce(protocol.FindKey(h.id.Prefix())); err != nil {
					t.Fatal(err)
				}
				left.peer.Learn(newcomer.peer.AddrInfo())
				newcomer.peer.Learn(left.peer.AddrInfo())
				for _, m := range h.all {
					m.end()
				}
				if found := newcomer.node.meetMembers(t.Context(), h.id); !slices.Equal(found, []peer.ID{left.peer.Self()}) {
					t.Errorf("found %v", found)
				}
				h.close()
			})
		})
	}
}

// enters counts the requests to be let in that a node has answered.
func (m *villager) enters() (sum float64) {
	for _, c := range m.node.answers.of[protocol.KindEnter].outcomes {
		var v dto.Metric
		if err := c.Write(&v); err != nil {
			m.v.t.Fatal(err)
		}
		sum += v.GetCounter().GetValue()
	}
	return sum
}

// A newcomer acts as a member once most of the living members have audited it; a
// holder that the owner drew does so from the start.
func TestAccepted(t *testing.T) {
	for _, c := range []struct {
		living, knows int
		drawn, want   bool
	}{
		{14, 0, true, true},
		{14, 0, false, false},
		{14, 6, false, false},
		{14, 7, false, true},
		{3, 1, false, true},
		{1, 0, false, false}, // it knows nobody yet
	} {
		r := neighbours.Roll{Table: &group.Seats{Profile: protocol.Profile{K: 2, R: 3, N: 14}}, Living: group.UpTo(c.living), Knows: c.knows, Drawn: c.drawn}
		if r.Accepted() != c.want {
			t.Errorf("%+v: %v", c, r.Accepted())
		}
	}
}
