package erasure

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/reedsolomon"
)

const (
	// MaxShards is the greatest n; larger ones would need another code.
	MaxShards = 256

	// column is how much of each shard is coded at a time, in bytes: a column
	// of all shards stays in the processor's cache.
	column = 128 << 10

	// goroutines is how many goroutines one call may use. It must never be 1:
	// with more than ten shards the library then leaves its fastest instructions
	// unused.
	goroutines = 2
)

var (
	// ErrTooFew says that fewer than k shards are present.
	ErrTooFew = errors.New("too few shards")

	// ErrShape says that k, n, the number of shards or their lengths do not
	// fit one another.
	ErrShape = errors.New("shards do not fit the code")
)

// Code codes segments of k data shards into n shards. Making one costs up to a
// millisecond, so callers keep it; it caches the matrices that it decodes with.
// It is safe for concurrent use.
type Code struct {
	k, n    int
	enc     reedsolomon.Encoder
	columns sync.Pool // of *[][]byte, one entry a shard
}

// New returns the code for 1 ≤ k ≤ n ≤ MaxShards. n = k is a code without
// parity, k = 1 keeps n copies. Errors: ErrShape.
func New(k, n int) (*Code, error) {
	if k < 1 || n < k || n > MaxShards {
		return nil, fmt.Errorf("new code %d of %d: %w", k, n, ErrShape)
	}
	enc, err := reedsolomon.New(k, n-k,
		reedsolomon.WithMaxGoroutines(goroutines), reedsolomon.WithInversionCache(true))
	if err != nil {
		return nil, fmt.Errorf("new code %d of %d: %w", k, n, err)
	}
	c := &Code{k: k, n: n, enc: enc}
	c.columns.New = func() any {
		s := make([][]byte, n)
		return &s
	}
	return c, nil
}

// K returns how many shards are needed to read a segment.
func (c *Code) K() int { return c.k }

// N returns how many shards there are in all.
func (c *Code) N() int { return c.n }

// Encode overwrites shards[k:] with the parity of shards[:k]. There must be n
// shards of one length. Each byte position is coded by itself, so a caller may
// also pass the same range of all shards: a column. Errors: ErrShape.
func (c *Code) Encode(shards [][]byte) error {
	size, err := c.length(shards)
	if err == nil {
		for _, s := range shards {
			if len(s) != size {
				err = ErrShape
			}
		}
	}
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if c.n == c.k {
		return nil
	}
	cols := c.columns.Get().(*[][]byte)
	defer c.release(cols)
	for lo := 0; lo < size; lo += column {
		hi := min(lo+column, size)
		for i, s := range shards {
			(*cols)[i] = s[lo:hi]
		}
		if err := c.enc.Encode(*cols); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
	}
	return nil
}

// Reconstruct makes the missing shards i for which want[i] is set, and no
// others. A shard is missing when its length is 0; it is made in place where
// its capacity suffices. The present ones must have one length and may be
// columns of the whole shards. want has n entries.
// Errors: ErrTooFew, ErrShape; no shard is then changed in length.
func (c *Code) Reconstruct(shards [][]byte, want []bool) error {
	size, err := c.length(shards)
	if err == nil && len(want) != c.n {
		err = ErrShape
	}
	if err != nil {
		return fmt.Errorf("reconstruct: %w", err)
	}
	present, missing := 0, 0
	for i, s := range shards {
		switch {
		case len(s) == size && size > 0:
			present++
		case want[i]:
			missing++
		}
	}
	if missing == 0 {
		return nil
	}
	if present < c.k {
		return fmt.Errorf("reconstruct: %d of %d shards, need %d: %w", present, c.n, c.k, ErrTooFew)
	}
	return c.fill(shards, want, size)
}

// fill makes the wanted shards column by column in buffers of full size.
func (c *Code) fill(shards [][]byte, want []bool, size int) error {
	made := make([][]byte, c.n)
	for i, s := range shards {
		switch {
		case len(s) > 0 || !want[i]:
		case cap(s) >= size:
			made[i] = s[:size]
		default:
			made[i] = make([]byte, size)
		}
	}
	cols := c.columns.Get().(*[][]byte)
	defer c.release(cols)
	for lo := 0; lo < size; lo += column {
		hi := min(lo+column, size)
		for i, s := range shards {
			switch {
			case len(s) > 0:
				(*cols)[i] = s[lo:hi]
			case made[i] != nil:
				(*cols)[i] = made[i][lo:lo:hi]
			default:
				(*cols)[i] = nil
			}
		}
		if err := c.enc.ReconstructSome(*cols, want); err != nil {
			return fmt.Errorf("reconstruct: %w", err)
		}
	}
	for i, m := range made {
		if m != nil {
			shards[i] = m
		}
	}
	return nil
}

// length returns the one length of the shards that are not empty.
func (c *Code) length(shards [][]byte) (int, error) {
	if len(shards) != c.n {
		return 0, ErrShape
	}
	size := 0
	for _, s := range shards {
		if len(s) == 0 {
			continue
		}
		if size != 0 && len(s) != size {
			return 0, ErrShape
		}
		size = len(s)
	}
	return size, nil
}

// release gives scratch back without keeping the caller's memory alive.
func (c *Code) release(cols *[][]byte) {
	clear(*cols)
	c.columns.Put(cols)
}
