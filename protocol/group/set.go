package group

import (
	"math/bits"

	"github.com/cairnstore/cairn/protocol"
)

// MaxMembers is how many members a Set can hold, and the most that a node keeps
// of one group: two for each slot of the largest group that there can be.
const MaxMembers = 2 * protocol.MaxShards

// Set is a set of members or of slots by index, below MaxMembers. The zero Set is
// empty. It is a value of 32 bytes and refers to nothing.
type Set [MaxMembers / 64]uint64

// UpTo returns the set of 0 to n−1.
func UpTo(n int) (s Set) {
	for i := range s {
		switch rest := n - 64*i; {
		case rest >= 64:
			s[i] = ^uint64(0)
		case rest > 0:
			s[i] = 1<<rest - 1
		}
	}
	return s
}

// Has reports whether i is in the set.
func (s Set) Has(i int) bool { return uint(i) < MaxMembers && s[i>>6]&(1<<(i&63)) != 0 }

// Add puts i into the set. An i that no set can hold is ignored.
func (s *Set) Add(i int) {
	if uint(i) < MaxMembers {
		s[i>>6] |= 1 << (i & 63)
	}
}

// Remove takes i out of the set.
func (s *Set) Remove(i int) {
	if uint(i) < MaxMembers {
		s[i>>6] &^= 1 << (i & 63)
	}
}

// Count returns how many members the set has.
func (s Set) Count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// And returns what is in both sets.
func (s Set) And(o Set) Set {
	for i := range s {
		s[i] &= o[i]
	}
	return s
}

// Or returns what is in either set.
func (s Set) Or(o Set) Set {
	for i := range s {
		s[i] |= o[i]
	}
	return s
}

// Without returns what is in s and not in o.
func (s Set) Without(o Set) Set {
	for i := range s {
		s[i] &^= o[i]
	}
	return s
}
