package fuzz

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// seenBits is how many bits remember the inputs: 16 MiB.
const seenBits = 27

// seen remembers inputs. One that it calls new certainly is; of ten million new
// ones it takes less than four in a hundred for old.
type seen []uint64

func newSeen() seen { return make(seen, 1<<seenBits/64) }

// first reports whether in is certainly a new one, and remembers it.
func (s seen) first(in input) bool {
	var h uint64
	for _, v := range in {
		h = h*0x9e3779b97f4a7c15 + hash(v) // arguments in other places differ
	}
	word, bit := &s[h>>6%uint64(len(s))], uint64(1)<<(h%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

func hash(v any) uint64 {
	switch v := v.(type) {
	case []byte:
		return xxhash.Sum64(v)
	case string:
		return xxhash.Sum64String(v)
	default:
		return xxhash.Sum64String(fmt.Sprint(v))
	}
}
