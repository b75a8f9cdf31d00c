package client

import "slices"

// sealedRun is a run of a segment's sealed bytes, in the buffers in which its
// shards were received: only what straddles two of them is copied.
type sealedRun struct {
	pieces []piece // in any order until view is called
	sorted bool
}

// piece is what one shard gave.
type piece struct {
	off  int64 // of its first byte within the segment
	data []byte
}

// copyTo fills dst with the bytes at off of the segment, as far as the run has
// them. Many goroutines may call it at the same time.
func (r *sealedRun) copyTo(dst []byte, off int64) {
	end := off + int64(len(dst))
	for _, p := range r.pieces {
		lo, hi := max(off, p.off), min(end, p.off+int64(len(p.data)))
		if lo < hi {
			copy(dst[lo-off:hi-off], p.data[lo-p.off:])
		}
	}
}

// view returns the n bytes at off of the segment, in place where one piece has
// them all, else copied to scratch, which has room for n. It returns nil if the run
// does not have all of them.
func (r *sealedRun) view(off, n int64, scratch []byte) []byte {
	if !r.sorted {
		slices.SortFunc(r.pieces, func(a, b piece) int {
			switch {
			case a.off < b.off:
				return -1
			case a.off > b.off:
				return 1
			}
			return 0
		})
		r.sorted = true
	}
	out := scratch[:0]
	for _, p := range r.pieces {
		if off < p.off {
			return nil
		}
		if off >= p.off+int64(len(p.data)) {
			continue
		}
		have := p.data[off-p.off:]
		if int64(len(have)) >= n && len(out) == 0 {
			return have[:n:n]
		}
		have = have[:min(n, int64(len(have)))]
		out = append(out, have...)
		off += int64(len(have))
		if n -= int64(len(have)); n == 0 {
			return out
		}
	}
	return nil
}

// releaseBefore gives back the buffers of the pieces that end at or before
// off, and returns how many bytes the others hold.
func (r *sealedRun) releaseBefore(off int64, to *buffers) (kept int64) {
	r.pieces = slices.DeleteFunc(r.pieces, func(p piece) bool {
		if p.off+int64(len(p.data)) <= off {
			to.put(p.data)
			return true
		}
		kept += int64(len(p.data))
		return false
	})
	return kept
}

// release gives all buffers back. It may be called on nil.
func (r *sealedRun) release(to *buffers) {
	if r == nil {
		return
	}
	for _, p := range r.pieces {
		to.put(p.data)
	}
	r.pieces = nil
}
