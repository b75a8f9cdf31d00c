package seal

import (
	"bytes"
	"slices"
	"testing"
)

// tampered are changes to an extent of three parts, the last short. None opens.
var tampered = []struct {
	name   string
	change func(t *testing.T, b []byte) []byte
}{
	{"commitment flipped", flip(0)},
	{"commitment's end flipped", flip(CommitmentSize - 1)},
	{"first byte flipped", flip(CommitmentSize)},
	{"tag of the first part flipped", flip(CommitmentSize + sealedPart - 1)},
	{"middle part flipped", flip(CommitmentSize + sealedPart + 5)},
	{"last byte flipped", flip(-1)},
	{"first two parts exchanged", func(_ *testing.T, b []byte) []byte {
		p0, p1 := bytes.Clone(part(b, 0)), bytes.Clone(part(b, 1))
		copy(part(b, 0), p1)
		copy(part(b, 1), p0)
		return b
	}},
	{"a part repeated", func(_ *testing.T, b []byte) []byte {
		copy(part(b, 1), part(b, 0))
		return b
	}},
	{"a part left out", func(_ *testing.T, b []byte) []byte {
		return slices.Delete(b, CommitmentSize, CommitmentSize+sealedPart)
	}},
	{"cut at a part's end", func(_ *testing.T, b []byte) []byte { return b[:CommitmentSize+2*sealedPart] }},
	{"cut to one part", func(_ *testing.T, b []byte) []byte { return b[:CommitmentSize+sealedPart] }},
	{"cut by a byte", func(_ *testing.T, b []byte) []byte { return b[:len(b)-1] }},
	{"cut to the commitment", func(_ *testing.T, b []byte) []byte { return b[:CommitmentSize] }},
	{"empty", func(_ *testing.T, b []byte) []byte { return b[:0] }},
	{"a byte more", func(_ *testing.T, b []byte) []byte { return append(b, 0) }},
	{"a tag more", func(_ *testing.T, b []byte) []byte { return append(b, make([]byte, Overhead)...) }},
	{"a part more", func(_ *testing.T, b []byte) []byte { return append(b, part(b, 0)...) }},
	{"last flag on the first part", func(t *testing.T, b []byte) []byte {
		copy(part(b, 0), flagged(t, 0, true))
		return b
	}},
	{"no last flag", func(t *testing.T, b []byte) []byte {
		return append(b[:CommitmentSize+sealedPart], flagged(t, 1, false)...)
	}},
}

func flip(at int) func(*testing.T, []byte) []byte {
	return func(_ *testing.T, b []byte) []byte {
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
}

func part(b []byte, i int) []byte {
	return b[CommitmentSize+i*sealedPart:][:sealedPart]
}

// flagged seals a full part under the extent's key with a flag of our choice.
func flagged(t *testing.T, index int64, last bool) []byte {
	aead, err := newAEAD(counting(20))
	if err != nil {
		t.Fatal(err)
	}
	var n nonce
	n.set(index, last)
	return aead.Seal(nil, n[:], pattern(PartSize), nil)
}

func TestTampered(t *testing.T) {
	extent := sealed(t, counting(20), pattern(2*PartSize+77))
	mustOpen(t, counting(20), extent, pattern(2*PartSize+77))
	for _, c := range tampered {
		b := c.change(t, bytes.Clone(extent))
		out := make([]byte, 0, 4*PartSize)
		if got, err := Open(counting(20), out, b); err != ErrOpen || got != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if bytes.Contains(out[:cap(out)], pattern(64)) {
			t.Errorf("%s: plain bytes left behind", c.name)
		}
	}
}

func TestWrongKeyAndCommitment(t *testing.T) {
	plain := pattern(100)
	a, b := sealed(t, counting(21), plain), sealed(t, counting(22), plain)
	open := func(name string, key Key, extent []byte) {
		t.Helper()
		if got, err := Open(key, nil, extent); err != ErrOpen || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	open("wrong key", counting(22), a)
	open("commitment of another key", counting(21), slices.Concat(b[:CommitmentSize], a[CommitmentSize:]))
	open("parts of another key", counting(21), slices.Concat(a[:CommitmentSize], b[CommitmentSize:]))
	for _, commitment := range [][]byte{nil, a[:CommitmentSize-1], a[:CommitmentSize+1]} {
		if _, err := NewOpener(counting(21), commitment, 100); err != ErrOpen {
			t.Errorf("commitment of %d bytes: %v", len(commitment), err)
		}
	}
	for _, size := range []int64{-1, 0, MaxPlain + 1} {
		if _, err := NewOpener(counting(21), a[:CommitmentSize], size); err != ErrOpen {
			t.Errorf("extent of %d plain bytes: %v", size, err)
		}
	}
}

// A reference that lies about the length fails at the last part it names.
func TestWrongLength(t *testing.T) {
	extent := sealed(t, counting(23), pattern(2*PartSize))
	for _, claim := range []int64{1, PartSize, 2*PartSize - 1, 2*PartSize + 1, 3 * PartSize} {
		o, err := NewOpener(counting(23), extent[:CommitmentSize], claim)
		if err != nil {
			t.Fatal(err)
		}
		last := Parts(claim) - 1
		off, length := PartRange(last, claim)
		end := min(off+length, int64(len(extent)))
		if off > end {
			off = end
		}
		if _, err := o.OpenPart(nil, extent[off:end], last); err != ErrOpen {
			t.Errorf("claimed %d bytes: %v", claim, err)
		}
	}
	o, err := NewOpener(counting(23), extent[:CommitmentSize], 2*PartSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []int64{-1, 1, 2, 1 << 62} {
		if _, err := o.OpenPart(nil, part(extent, 0), index); err != ErrOpen {
			t.Errorf("part 0 at place %d: %v", index, err)
		}
	}
}

// A part that fails to open in place leaves no plain byte behind.
func TestFailureLeavesNothing(t *testing.T) {
	extent := sealed(t, counting(24), pattern(PartSize))
	extent[len(extent)-1] ^= 1
	o, err := NewOpener(counting(24), extent[:CommitmentSize], PartSize)
	if err != nil {
		t.Fatal(err)
	}
	b := extent[CommitmentSize:]
	if got, err := o.OpenPart(b[:0], b, 0); err != ErrOpen || got != nil {
		t.Fatalf("%v", err)
	}
	if bytes.Contains(b, pattern(64)) {
		t.Fatal("plain bytes left behind")
	}
}
