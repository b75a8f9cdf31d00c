package integration

import (
	"encoding/binary"
	"hash/fnv"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// small is the profile of the tests that disturb a network.
var small = protocol.Profile{K: 4, R: 9, N: 14}

// For a day two halves of the network do not reach one another.
func TestPartitionOfADay(t *testing.T) {
	lengthy(t)
	disturb(t, 11, 20, 3, small, func(t *testing.T, a *adverse) {
		a.net.Partition(ids(a.someOf(10, a.up())))
		a.pass(day)
		a.unmoved("while parted")
		a.net.Heal()
		a.pass(twoBeats)
		a.agree("after two beats")
		a.pass(3 * day)
		a.unmoved("after healing")
		a.reads("after healing")
	})
}

// Links between machines come and go for two days, each independently.
func TestFlappingLinks(t *testing.T) {
	lengthy(t)
	disturb(t, 12, 20, 3, small, func(t *testing.T, a *adverse) {
		for turn := range 2 * 72 {
			a.net.SetRule(func(from, to peer.ID) (memnet.Link, bool) {
				return memnet.Link{Cut: true}, chanceOf(min(from, to), max(from, to), turn) < 0.5
			})
			a.pass(20 * time.Minute)
		}
		a.unmoved("while links flap")
		a.net.Heal()
		a.pass(twoBeats)
		a.agree("after two beats")
		a.pass(2 * day)
		a.unmoved("after healing")
	})
}

// For two days a quarter of all directions between machines lose everything, so
// that in nine of sixteen pairs each can ask the other. A member may then reach too
// few of a group, consider repair urgent and draw candidates; the others let none
// of them in. (With a third, most members would not reach most holders.)
func TestOneWayLoss(t *testing.T) {
	lengthy(t)
	disturb(t, 13, 20, 3, small, func(t *testing.T, a *adverse) {
		a.net.SetRule(func(from, to peer.ID) (memnet.Link, bool) {
			return memnet.Link{Loss: 1}, chanceOf(from, to, 0) < 0.25
		})
		a.pass(2 * day)
		a.kept("while some links lose")
		t.Logf("while some links lose, repair moved at most %d bytes within an hour", a.peak)
		a.heal()
		a.pass(twoBeats)
		a.agree("after two beats")
		a.pass(2 * day)
		a.unmoved("after healing")
	})
}

// chanceOf is a number from 0 to 1 that two peers draw at a turn.
func chanceOf(a, b peer.ID, turn int) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(a + "/" + b))
	_ = binary.Write(h, binary.BigEndian, int64(turn))
	x := h.Sum64()
	x ^= x >> 29
	return float64(x*0x9e3779b97f4a7c15>>11) / (1 << 53)
}
