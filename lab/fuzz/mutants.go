package fuzz

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// maxChanges bounds how many changes, one on top of another, every mutant gets at
// least; each further one is half as likely as the one before.
const maxChanges = 16

// mutants makes the inputs of a soak. A mutant is a changed seed; the changes
// come from a generator that is seeded with nothing but the soak's seed and the
// mutant's number.
type mutants struct {
	corpus []input
	good   []input // accepted seeds and mutants, a ring
	next   int     // place in the ring
	seed   uint64
	least  int // changes of each mutant, at least
	draw   draw
	editor editor
	out    input
}

func newMutants(seed uint64, corpus []input) *mutants {
	m := &mutants{corpus: corpus, seed: seed, least: 1, out: make(input, len(corpus[0]))}
	m.editor.draw = &m.draw
	for _, in := range corpus {
		for _, v := range in {
			switch v := v.(type) {
			case []byte:
				m.editor.learn(v)
			case string:
				m.editor.learn([]byte(v))
			}
		}
	}
	return m
}

// more gives each later mutant more changes.
func (m *mutants) more() { m.least = min(m.least+1, maxChanges) }

// at returns mutant i, which is valid until the next call.
func (m *mutants) at(i uint64) input {
	m.draw.pcg.Seed(m.seed, i)
	copy(m.out, m.pick())
	changes := min(m.least+bits.TrailingZeros64(m.draw.number()), 2*maxChanges)
	if len(m.out) == 1 {
		m.out[0] = m.change(m.out[0], changes)
		return m.out
	}
	for range changes {
		n := m.draw.below(len(m.out))
		m.out[n] = m.change(m.out[n], 1)
		if b, ok := m.out[n].([]byte); ok {
			m.out[n] = bytes.Clone(b) // the next one is edited in the same place
		}
	}
	return m.out
}

// maxGood is how many accepted inputs are kept, and maxLonger by how many bytes
// one may be longer than the longest seed.
const (
	maxGood   = 512
	maxLonger = 256
)

// adopt takes accepted inputs as seeds.
func (m *mutants) adopt(good []input) {
	for _, in := range good {
		switch {
		case size(in) > m.editor.most-maxGrowth+maxLonger:
		case len(m.good) < maxGood:
			m.good = append(m.good, in)
		default:
			m.good[m.next] = in
			m.next = (m.next + 1) % maxGood
		}
	}
}

func clone(in input) input {
	out := slices.Clone(in)
	for i, v := range out {
		if b, ok := v.([]byte); ok {
			out[i] = bytes.Clone(b)
		}
	}
	return out
}

// pick draws a seed, short ones more often: they cost less, and show most of what
// can be wrong, too.
func (m *mutants) pick() input {
	from := m.corpus
	if len(m.good) > 0 && m.draw.below(2) == 0 {
		from = m.good
	}
	a, b := from[m.draw.below(len(from))], from[m.draw.below(len(from))]
	if size(b) < size(a) && m.draw.below(4) > 0 {
		return b
	}
	return a
}

func size(in input) (n int) {
	for _, v := range in {
		switch v := v.(type) {
		case []byte:
			n += len(v)
		case string:
			n += len(v)
		}
	}
	return n
}

func (m *mutants) change(v any, changes int) any {
	switch v := v.(type) {
	case []byte:
		return m.editor.edit(v, changes)
	case string:
		return string(m.editor.edit([]byte(v), changes))
	case int64:
		return int64(m.draw.near(uint64(v), 64))
	case uint32:
		return uint32(m.draw.near(uint64(v), 32))
	case uint8:
		return uint8(m.draw.near(uint64(v), 8))
	default:
		panic(fmt.Sprintf("fuzz: no mutants of a %T", v))
	}
}

// near returns a number of width bits that is near v, or of any magnitude.
func (d *draw) near(v uint64, width int) uint64 {
	switch d.below(5) {
	case 0:
		return v + uint64(d.below(17)) - 8
	case 1:
		return v ^ 1<<d.below(width)
	case 2:
		return odd[d.below(len(odd))]
	case 3:
		return -d.magnitude(width)
	default:
		return d.magnitude(width)
	}
}

// draw draws numbers straight from the generator: what math/rand/v2 puts around
// it would take longer than the changes do.
type draw struct{ pcg rand.PCG }

func (d *draw) number() uint64 { return d.pcg.Uint64() }

// below returns a number from 0 to n-1, evenly enough for changes.
func (d *draw) below(n int) int {
	hi, _ := bits.Mul64(d.pcg.Uint64(), uint64(n))
	return int(hi)
}

// magnitude returns a number of up to width bits, every length being equally
// likely.
func (d *draw) magnitude(width int) uint64 {
	return d.pcg.Uint64() >> (64 - width) >> d.below(width)
}

// upTo returns a number from 1 to n, small ones more often.
func (d *draw) upTo(n int) int {
	return 1 + int(d.magnitude(bits.Len(uint(n)))%uint64(n))
}

// odd are numbers at which something changes: lengths of CBOR heads and of
// integers, bounds of the protocol.
var odd = [...]uint64{
	0, 1, 2, 16, 23, 24, 31, 32, 33, 63, 64, 127, 128, 255, 256, 1023, 1024, 8191, 8192, 8193,
	1<<14 - 1, 1 << 14, 1<<14 + 1, math.MaxUint16, 1 << 16, 1<<18 - 1, 1 << 18, 1<<24 - 1, 1 << 24, 1 << 26,
	math.MaxInt32, 1 << 31, math.MaxUint32, 1 << 32, 1<<53 - 1, 1 << 53, math.MaxInt64, 1 << 63, math.MaxUint64,
}
