package seal

import (
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
	"io"
	"sync"
)

// Checker tells whether plain bytes that are kept somewhere are a part of an extent,
// by the tag that the part had when it was opened. It seals them again as they were
// sealed and compares the tag, and never returns sealed bytes. It is safe for use by
// several goroutines.
type Checker struct {
	aead    cipher.AEAD
	plain   int64
	scratch sync.Pool // of *checkScratch
}

type checkScratch struct {
	nonce  nonce
	sealed [sealedPart]byte
}

// NewChecker returns the Checker of an extent of plain bytes under key. It
// returns ErrOpen where there is no such extent.
func NewChecker(key Key, plain int64) (*Checker, error) {
	if Parts(plain) == 0 {
		return nil, ErrOpen
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, ErrOpen
	}
	c := &Checker{aead: aead, plain: plain}
	c.scratch.New = func() any { return new(checkScratch) }
	return c, nil
}

// Format writes a placeholder for every verb: fmt would print the fields.
func (*Checker) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "checker") }

// Check reports whether plain is the part with that index, counted from 0, and the
// sealed part ends in tag.
func (c *Checker) Check(plain []byte, index int64, tag [Overhead]byte) bool {
	_, length := PartRange(index, c.plain)
	if length == 0 || int64(len(plain)) != length-Overhead {
		return false
	}
	s := c.scratch.Get().(*checkScratch)
	defer c.scratch.Put(s)
	s.nonce.set(index, index == Parts(c.plain)-1)
	sealed := c.aead.Seal(s.sealed[:0], s.nonce[:], plain, nil)
	return subtle.ConstantTimeCompare(sealed[len(plain):], tag[:]) == 1
}
