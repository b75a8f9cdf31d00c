package contract

import (
	"math"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// How much of a day's volume one segment may have.
const (
	readsShare = 4        // a quarter of what clients may have in a day
	readsLeast = 64 << 20 // bytes, however little that is
	maxReads   = 1 << 16  // segments counted at a time
)

// ReadsADay returns how many bytes of one segment may be read in a day, so
// that one viral link leaves something for the others; 0: there is no limit,
// because the terms set none.
func (t Terms) ReadsADay() int64 {
	if t.Month == 0 && t.Up == 0 {
		return 0
	}
	day := float64(math.MaxInt64)
	if t.Month > 0 {
		day = float64(t.Month) / 2 / 30
	}
	if t.Up > 0 {
		day = min(day, float64(t.Up)/2*24*3600*t.Hours.Share())
	}
	return max(readsLeast, int64(min(day/readsShare, protocol.MaxInt)))
}

// Reads counts what was read today, by segment. What it keeps is bounded: where
// there are too many segments, it forgets those of which little was read.
type Reads[K comparable] struct {
	day  int
	read map[K]int64
}

// Take counts n bytes of a segment and reports whether it is still within most;
// 0: there is no bound. Bytes that would pass it are not counted.
func (r *Reads[K]) Take(k K, n, most int64, now time.Time) bool {
	if most == 0 {
		return true
	}
	if day := now.Year()*366 + now.YearDay(); day != r.day || r.read == nil {
		r.day, r.read = day, make(map[K]int64)
	}
	have, known := r.read[k]
	if have+n > most {
		return false
	}
	if !known {
		r.makeRoom(most)
	}
	r.read[k] = have + n
	return true
}

// makeRoom forgets segments of which little was read, or else any.
func (r *Reads[K]) makeRoom(most int64) {
	if len(r.read) < maxReads {
		return
	}
	for k, n := range r.read {
		if n < most/16 {
			delete(r.read, k)
		}
	}
	for k := range r.read {
		if len(r.read) < maxReads*7/8 {
			return
		}
		delete(r.read, k)
	}
}
