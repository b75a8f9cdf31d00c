package neighbours

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
)

// crowded is a node with honest neighbours, each in a domain of its own, which answer
// a beat every six hours, and with 127 more that are a stranger's.
type crowded struct {
	*Register
	at            time.Duration
	honest, crowd []peer.ID
}

func newCrowded(honest int) *crowded {
	set, audits := liveness.DefaultSettings(), audit.DefaultSettings()
	c := new(crowded)
	c.Register = New(idFor(0), &set, &audits, func() time.Time { return epoch.Add(c.at) }, func() time.Duration { return c.at })
	for i := 0; i < honest; i += profile.N - 1 {
		c.honest = append(c.honest, c.open(profile, 1+i)...)
	}
	c.crowd = c.open(protocol.Profile{K: 26, R: 70, N: 128}, 10_000)
	for i, id := range c.honest {
		c.see(id, fmt.Sprintf("20.%d.%d.1", i/250, i%250))
	}
	c.Resume(func() float64 { return 0.5 })
	return c
}

// open takes in a group of this node and others, numbered from first on.
func (c *crowded) open(p protocol.Profile, first int) (others []peer.ID) {
	t := &protocol.Table{Profile: p, Slots: make([][]byte, p.N)}
	t.Slots[0] = []byte(c.self)
	for slot := 1; slot < p.N; slot++ {
		others = append(others, idFor(first+slot-1))
		t.Slots[slot] = []byte(idFor(first + slot - 1))
	}
	c.Open(protocol.GroupID(protocol.Sum(fmt.Append(nil, first))), t, 0, new(Survey))
	return others
}

func (c *crowded) answer(ids []peer.ID, clock int64) {
	for _, id := range ids {
		c.Beaten(id, &protocol.Beat{Clock: c.now().Unix() + clock})
	}
}

// cutOffFor lets some days pass, in which the crowd answers one beat every so many
// hours, and returns for how long the node believed itself cut off: in all, and at most
// at a time.
func (c *crowded) cutOffFor(days, every int) (all, longest time.Duration) {
	c.answer(c.honest, 0)
	c.answer(c.crowd, 0)
	var stretch time.Duration
	for h := range days * 24 {
		c.at += time.Hour
		if h%6 == 0 {
			c.answer(c.honest, 0)
		}
		if h%every == every-1 {
			c.answer(c.crowd, 0)
		} else {
			for _, id := range c.crowd {
				c.Unanswered(id)
			}
		}
		if stretch += time.Hour; !c.CutOff() {
			stretch = 0
		} else {
			all, longest = all+time.Hour, max(longest, stretch)
		}
	}
	return all, longest
}

// A stranger may name as many peers of its own as members as it likes: in one
// domain they do not make a node believe that it is cut off, which would keep it
// from judging and repairing.
func TestCrowdCutsNobodyOff(t *testing.T) {
	relay := "/ip4/77.7.7.7/tcp/1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA/p2p-circuit"
	for name, place := range map[string]func(i int) string{
		"in one /24":          func(i int) string { return fmt.Sprintf("/ip4/66.6.6.%d/tcp/1", i) },
		"behind one relay":    func(int) string { return relay },
		"at private ones":     func(i int) string { return fmt.Sprintf("/ip4/100.64.0.%d/tcp/1", i) },
		"not to be looked at": nil,
		"where others are":    func(i int) string { return fmt.Sprintf("/ip4/20.0.%d.66/tcp/1", i) },
	} {
		c := newCrowded(100)
		for i, id := range c.crowd {
			if place != nil {
				c.Place(id, multiaddr.StringCast(place(i)))
			}
		}
		if all, _ := c.cutOffFor(60, 14*24); all > 0 {
			t.Errorf("%s: cut off for %v of 60 days", name, all)
		}
	}
}

// A crowd in more domains than all others together can cut a node off, for a week at a
// time and half of the time at most.
func TestCutOffEnds(t *testing.T) {
	for _, every := range []int{24, 7*24 + 1, 14 * 24, 1 << 20} {
		c := newCrowded(100)
		for i, id := range c.crowd {
			c.see(id, fmt.Sprintf("66.6.%d.1", i))
		}
		all, longest := c.cutOffFor(120, every)
		if longest > c.set.MaxCutOff || all > 60*24*time.Hour+c.set.MaxCutOff || all == 0 {
			t.Errorf("every %d hours: cut off for %v of 120 days, at most %v at a time", every, all, longest)
		}
	}
}

// A node whose neighbours are in few domains, or have not been seen yet, notices that
// it is cut off all the same, and that it no longer is.
func TestCutOffIsSeen(t *testing.T) {
	for name, place := range map[string]string{
		"one domain": "20.0.0.1", "its own network": "192.168.1.9", "not seen yet": "",
	} {
		c := newCrowded(5)
		all := append(c.honest, c.crowd[:10]...)
		for _, id := range c.crowd[10:] { // they have never answered
			c.see(id, "66.6.6.6")
		}
		for _, id := range all {
			if p := c.peers[id]; place == "" {
				c.Place(id, multiaddr.StringCast("/dns4/example.org/tcp/1"))
			} else if c.see(id, place); p.addr.String() != place {
				t.Fatal(name, p.addr)
			}
		}
		c.answer(all, 0)
		c.at += 2 * time.Hour
		if c.CutOff() {
			t.Errorf("%s: cut off while all answer", name)
		}
		for _, id := range all[1:] {
			c.Unanswered(id)
		}
		c.at += 2 * time.Minute
		if c.CutOff() {
			t.Errorf("%s: cut off while one answers", name)
		}
		if c.BeatsDue(func() float64 { return 0 }); !c.census().Probe() {
			t.Errorf("%s: it does not ask all when most fall silent", name)
		}
		c.Unanswered(all[0])
		c.at += 2 * time.Minute
		if !c.CutOff() {
			t.Errorf("%s: it does not notice", name)
		}
		c.answer(all[3:4], 0)
		c.at += 2 * time.Minute
		if c.CutOff() {
			t.Errorf("%s: it does not notice that one answers again", name)
		}
	}
}

// A crowd has no part in what time it is, nor in how often others are asked.
func TestCrowdSetsNoPace(t *testing.T) {
	c := newCrowded(100)
	for i, id := range c.crowd {
		c.see(id, fmt.Sprintf("66.6.6.%d", i))
	}
	c.answer(c.honest, 60)
	c.answer(c.crowd, 1_000_000)
	c.at += time.Hour
	median, heard, _ := c.Clocks(time.Hour)
	if off := median.Sub(c.now()); off != time.Minute || heard != 101 {
		t.Errorf("%d clocks, whose median is %v ahead", heard, off)
	}
	if all, one := c.pace(c.peers[c.crowd[0]]), c.pace(c.peers[c.honest[0]]); all != 227 || one != 101 {
		t.Errorf("of 227 neighbours in 101 domains: %d for one of the crowd, %d for others", all, one)
	}
}
