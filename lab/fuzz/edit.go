package fuzz

import (
	"encoding/binary"
	"slices"
)

// maxGrowth is how much longer than the longest seed a mutant may become, in
// bytes.
const maxGrowth = 4 << 10

// editor changes bytes: as plain bytes or, where there is CBOR in them, as CBOR
// items.
type editor struct {
	draw  *draw
	seeds [][]byte
	parts [][]byte // every CBOR item of the seeds
	most  int      // greatest length of a mutant, in bytes

	items []item // of what is edited
	piece []byte // scratch
	out   []byte
}

// learn keeps a seed and its items, of which other seeds' mutants may get pieces.
func (e *editor) learn(b []byte) {
	e.seeds = append(e.seeds, b)
	e.most = max(e.most, len(b)+maxGrowth)
	for _, it := range scan(b, nil) {
		e.parts = append(e.parts, b[it.at:it.end])
	}
}

// edit returns a changed copy of b, which is valid until the next call.
func (e *editor) edit(b []byte, changes int) []byte {
	e.out = append(e.out[:0], b...)
	for range changes {
		e.items = e.items[:0]
		if e.draw.below(3) > 0 {
			e.items = scan(e.out, e.items)
		}
		if len(e.items) > 0 {
			e.editItem()
		} else {
			e.editBytes()
		}
		if len(e.out) > e.most {
			e.out = e.out[:e.most]
		}
	}
	return e.out
}

// stretch draws a range of e.out, short ones more often.
func (e *editor) stretch() (from, to int) {
	if len(e.out) == 0 {
		return 0, 0
	}
	from = e.draw.below(len(e.out))
	return from, from + e.draw.upTo(len(e.out)-from)
}

func (e *editor) editBytes() {
	from, to := e.stretch()
	switch e.draw.below(8) {
	case 0:
		if to > from {
			e.out[from] ^= 1 << e.draw.below(8)
		}
	case 1:
		if to > from {
			e.out[from] = byte(e.draw.number())
		}
	case 2:
		if to > from {
			e.out[from] += byte(e.draw.below(17) - 8)
		}
	case 3:
		e.out = e.out[:from] // cut short
	case 4:
		e.replace(from, to, nil)
	case 5: // doubled
		e.piece = append(e.piece[:0], e.out[from:to]...)
		e.replace(to, to, e.piece)
	case 6: // a number, big-endian or little
		e.piece = binary.BigEndian.AppendUint64(e.piece[:0], odd[e.draw.below(len(odd))])
		n := 1 << e.draw.below(4)
		number := e.piece[8-n:]
		if e.draw.below(4) == 0 {
			slices.Reverse(number)
		}
		e.replace(from, min(from+e.draw.below(2)*n, len(e.out)), number)
	default: // from a seed
		s := e.seeds[e.draw.below(len(e.seeds))]
		if len(s) == 0 {
			return
		}
		a := e.draw.below(len(s))
		e.replace(from, from+e.draw.below(2)*(to-from), s[a:a+e.draw.upTo(len(s)-a)])
	}
}

func (e *editor) replace(from, to int, with []byte) {
	e.out = slices.Replace(e.out, from, to, with...)
}
