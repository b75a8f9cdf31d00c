package group

import (
	"encoding/binary"
	"math/bits"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Key is a member's name where work falls to members by lot: the first 8 bytes
// of a BLAKE3-256 digest. Make it once per peer, with KeyOf, and keep it.
type Key uint64

// KeyOf returns a peer's Key: of "cairn/key/" ‖ its ID. One hash, some 100 ns.
func KeyOf(p peer.ID) Key {
	var b [96]byte
	return Key(word(protocol.Sum(append(append(b[:0], "cairn/key/"...), p...))))
}

// DomainKey returns the name under which a failure domain takes part in a lot,
// so that many peers of one domain have no better chance than one. One hash. Only
// public prefixes look the same to every member; in any other domain each
// member's key is its own.
func DomainKey(d Domain, member Key) Key {
	if d.kind != prefixDomain {
		return member
	}
	var b [32]byte
	x := append(b[:0], "cairn/domain/"...)
	a := d.prefix.Addr().As16()
	return Key(word(protocol.Sum(append(x, a[:]...))))
}

// Lot is something that falls to one of many: the audit of a shard in a cycle,
// the repair of a segment on a day. All members draw it alike, without a message.
type Lot uint64

// NewLot returns the lot of a purpose in a group at a number of its clock (a
// cycle, a day): the first 8 bytes of the BLAKE3-256 digest of "cairn/lot/" ‖
// purpose ‖ 0 ‖ group ‖ number, 8 bytes big-endian ‖ what, if there is any. One
// hash, some 150 ns; what follows from it by Of and Rank costs 2 ns.
func NewLot(purpose string, g protocol.GroupID, number int64, what ...byte) Lot {
	var b [160]byte
	x := append(b[:0], "cairn/lot/"...)
	x = append(append(x, purpose...), 0)
	x = append(x, g[:]...)
	x = binary.BigEndian.AppendUint64(x, uint64(number))
	return Lot(word(protocol.Sum(append(x, what...))))
}

// Of returns the lot of part i of this one, such as a slot of a segment.
func (l Lot) Of(i int) Lot { return Lot(mix(uint64(l) + (uint64(i)+1)*0x9e3779b97f4a7c15)) }

// Rank returns the member's place in the order of the lot, lowest first.
func (l Lot) Rank(k Key) uint64 { return mix(uint64(l) ^ uint64(k)) }

// Share returns a number from 0 to n−1 that the lot alone decides, each as likely
// as any other.
func (l Lot) Share(n uint64) uint64 {
	hi, _ := bits.Mul64(uint64(l.Of(-2)), n)
	return hi
}

// First returns the index of the member in the set that comes first; -1 where
// the set is empty. O(len(members)).
func (l Lot) First(members []Key, among Set) int {
	first, least := -1, uint64(0)
	for i, k := range members {
		if !among.Has(i) {
			continue
		}
		if r := l.Rank(k); first < 0 || r < least {
			first, least = i, r
		}
	}
	return first
}

// Place returns how many members of the set come before member self, whether
// self is in it or not. O(len(members)).
func (l Lot) Place(members []Key, among Set, self int) int {
	before, mine := 0, l.Rank(members[self])
	for i, k := range members {
		if i != self && among.Has(i) && l.Rank(k) < mine {
			before++
		}
	}
	return before
}

// Turn returns the index of the member whose turn it is: the one in place step of
// the order, counted round; -1 where the set is empty. Members with the same key
// count as one, so that with DomainKeys the turns go round the domains; among them
// own, each member's own key, decides. O(step × len(keys)), step after counting
// round.
func (l Lot) Turn(keys, own []Key, among Set, step int) int {
	rank, last, places := uint64(0), -1, 0
	for ; places <= step; places++ {
		next := l.after(keys, own, among, rank, places > 0)
		if next < 0 {
			break
		}
		last, rank = next, l.Rank(keys[next])
	}
	if places == 0 || places > step {
		return last
	}
	return l.Turn(keys, own, among, step%places)
}

// doubt is on how many members two peers may disagree whether they live, and
// still accept each other's turns.
const doubt = 2

// Plausible reports whether it may be a member's turn at a step as that member
// sees the others, though not as this node does: of those before it in the order,
// some that this node considers dead may live, and some that it considers living
// may not answer that member. O(len(keys)).
func (l Lot) Plausible(keys []Key, living Set, step, self int) bool {
	least, most := l.Place(keys, living, self), l.Place(keys, UpTo(len(keys)), self)
	round := living.Count() // places are counted round
	return least-doubt <= step && step <= most+doubt || step >= round
}

// after returns the first member in the order, behind a rank or of all; -1: none.
func (l Lot) after(keys, own []Key, among Set, rank uint64, behind bool) int {
	best, least, tie := -1, uint64(0), uint64(0)
	for i, k := range keys {
		r := l.Rank(k)
		if !among.Has(i) || behind && r <= rank || best >= 0 && r > least {
			continue
		}
		if t := l.Rank(own[i]); best < 0 || r < least || t < tie {
			best, least, tie = i, r, t
		}
	}
	return best
}

// mix is a bijection of 64 bits in which every bit of the result depends on
// every bit of x (the finalizer of MurmurHash3). It need not resist attacks: keys
// and lots are digests, and grinding a peer ID wins no more than one lot.
func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func word(h protocol.Hash) uint64 { return binary.BigEndian.Uint64(h[:8]) }
