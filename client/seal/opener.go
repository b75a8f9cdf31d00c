package seal

import (
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// ErrOpen is the one error of everything that does not open. It never says
// why: a wrong key, commitment, length, place or byte gives the same error.
var ErrOpen = errors.New("sealed bytes do not open")

// Opener opens the parts of one extent in any order. It is safe for use by
// several goroutines.
type Opener struct {
	aead   cipher.AEAD
	plain  int64
	nonces sync.Pool // of *nonce: on the stack they would escape at each part
}

// NewOpener compares the extent's first 32 bytes with what key commits to, in
// constant time. plainSize is the extent's length in plain bytes, as PlainSize
// returns it. All failures are ErrOpen.
func NewOpener(key Key, commitment []byte, plainSize int64) (*Opener, error) {
	want := commitmentOf(key)
	if Parts(plainSize) == 0 || subtle.ConstantTimeCompare(commitment, want[:]) != 1 {
		return nil, ErrOpen
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, ErrOpen
	}
	o := &Opener{aead: aead, plain: plainSize}
	o.nonces.New = func() any { return new(nonce) }
	return o, nil
}

// Format writes a placeholder for every verb: fmt would print the fields.
func (*Opener) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "opener") }

// OpenPart verifies the sealed part with that index, counted from 0, and appends its
// plain bytes to dst. All failures are ErrOpen, and then the room after dst holds no
// plain byte.
//
// With room it allocates nothing. sealed may begin exactly at dst[len(dst)],
// and is then opened in its place (a failure destroys it); any other overlap
// panics.
func (o *Opener) OpenPart(dst, sealed []byte, index int64) ([]byte, error) {
	_, length := PartRange(index, o.plain)
	if length == 0 || int64(len(sealed)) != length {
		return nil, ErrOpen
	}
	n := o.nonces.Get().(*nonce)
	n.set(index, index == Parts(o.plain)-1)
	dst, err := o.aead.Open(dst, n[:], sealed, nil)
	o.nonces.Put(n)
	if err != nil {
		return nil, ErrOpen
	}
	return dst, nil
}

// Open verifies a whole extent and appends its plain bytes to dst, whose room
// must not overlap it. All failures are ErrOpen: if any part fails, nothing of the
// extent is returned.
func Open(key Key, dst, sealed []byte) ([]byte, error) {
	plain, err := PlainSize(int64(len(sealed)))
	if err != nil {
		return nil, err
	}
	o, err := NewOpener(key, sealed[:CommitmentSize], plain)
	if err != nil {
		return nil, err
	}
	dst = slices.Grow(dst, int(plain))
	start := len(dst)
	for i := range Parts(plain) {
		off, length := PartRange(i, plain)
		out, err := o.OpenPart(dst, sealed[off:off+length], i)
		if err != nil {
			clear(dst[start:])
			return nil, ErrOpen
		}
		dst = out
	}
	return dst, nil
}
