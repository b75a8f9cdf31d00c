package protocol

import "slices"

// Digests returns, as an example for other implementations, what Have says of a set
// of names (IDs of facts or of segments): for each bucket the BLAKE3-256 of its names
// in ascending order, 32 zero bytes for an empty one. It sorts names.
func Digests[N ~[32]byte](names []N) []byte {
	slices.SortFunc(names, func(a, b N) int { return slices.Compare(a[:], b[:]) })
	out := make([]byte, Buckets*len(Hash{}))
	var bucket []byte
	for len(names) > 0 {
		first := names[0][0]
		bucket = bucket[:0]
		for len(names) > 0 && names[0][0] == first {
			bucket = append(bucket, names[0][:]...)
			names = names[1:]
		}
		sum := Sum(bucket)
		copy(out[int(first)*len(sum):], sum[:])
	}
	return out
}
