package client

import (
	"fmt"

	"github.com/cairnstore/cairn/storage/erasure"
)

// decode makes the wanted bytes that did not come, in the buffers of the other
// shards from which it makes them: there are always at least as many of these. So a
// read that decodes takes no more memory than one that does not.
func (r *race) decode() error {
	var missing, parity []int
	for slot := range r.sh.n {
		switch {
		case r.want[slot] && r.got[slot] == nil:
			missing = append(missing, slot)
		case !r.want[slot] && r.got[slot] != nil:
			parity = append(parity, slot)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	code, err := r.src.l.code(r.sh.k, r.sh.n)
	if err != nil {
		return err
	}
	scratch := r.src.l.buffers.get(int64(len(missing)) * column)
	defer r.src.l.buffers.put(scratch)
	for lo := int64(0); lo < r.col.length; lo += column {
		if err := r.decodeColumn(code, missing, parity, lo, min(lo+column, r.col.length), scratch); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
	}
	for i, slot := range missing {
		r.got[slot] = r.got[parity[i]]
		delete(r.got, parity[i])
	}
	return nil
}

// decodeColumn decodes the bytes [lo, hi) of the missing slots, and writes them over
// those of the parity, which are no longer needed.
func (r *race) decodeColumn(code *erasure.Code, missing, parity []int, lo, hi int64, scratch []byte) error {
	shards, want := make([][]byte, r.sh.n), make([]bool, r.sh.n)
	for slot, b := range r.got {
		shards[slot] = b[lo:hi]
	}
	for i, slot := range missing {
		at := int64(i) * column
		shards[slot], want[slot] = scratch[at:at:at+hi-lo], true
	}
	if err := code.Reconstruct(shards, want); err != nil {
		return err
	}
	for i, slot := range missing {
		copy(r.got[parity[i]][lo:hi], shards[slot])
	}
	return nil
}
