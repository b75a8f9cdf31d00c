package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Errors of a Sealer.
var (
	// ErrFinished means that the Sealer has sealed its last part, or was not
	// made by NewSealer, or is a copy.
	ErrFinished = errors.New("sealer is finished")
	// ErrPart means that a part has a length that its place does not allow.
	ErrPart = errors.New("part of wrong length")
)

// Sealer seals one extent, once, under a key that it alone has drawn: no two
// texts ever meet one key and counter. Use by several goroutines is safe, but
// the parts are counted in the order of the calls.
type Sealer struct {
	mu         sync.Mutex
	self       *Sealer // tells a copy, which would seal under used counters
	key        *Key    // by pointer: fmt would enter an array if a Sealer lies in an unexported field
	commitment [CommitmentSize]byte
	aead       cipher.AEAD // nil once the last part is sealed
	nonce      nonce       // here and not on the stack, where it would escape at each part
	next       int64       // index of the next part
}

// NewSealer draws a key from rand, which must be a cryptographic source, and
// returns the Sealer of one extent. It fails only when rand does.
func NewSealer(rand io.Reader) (*Sealer, error) {
	key, err := drawKey(rand, "extent key")
	if err != nil {
		return nil, err
	}
	return newSealer(key)
}

// newSealer takes a key that has sealed nothing and that no other Sealer will use.
func newSealer(key Key) (*Sealer, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	s := &Sealer{key: &key, commitment: commitmentOf(key), aead: aead}
	s.self = s
	return s, nil
}

// Format writes a placeholder for every verb: fmt would print the fields.
func (*Sealer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "sealer") }

// Key returns the extent's key: what a reference to the extent carries.
func (s *Sealer) Key() Key { return *s.key }

// Commitment returns the first 32 bytes of the extent; the parts follow.
func (s *Sealer) Commitment() [CommitmentSize]byte { return s.commitment }

// SealPart appends the next sealed part to dst. plain has exactly PartSize
// bytes, the last part 1 to PartSize; it is ErrPart otherwise, and nothing is
// sealed. After the last part it is always ErrFinished.
//
// With Overhead bytes of room it allocates nothing. plain may begin exactly at
// dst[len(dst)], and is then sealed in its place; any other overlap panics.
func (s *Sealer) SealPart(dst, plain []byte, last bool) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.self != s || s.aead == nil {
		return nil, fmt.Errorf("seal part: %w", ErrFinished)
	}
	if !s.fits(len(plain), last) {
		return nil, fmt.Errorf("seal part %d of %d bytes: %w", s.next, len(plain), ErrPart)
	}
	if err := observe(s.key, s.next, plain); err != nil {
		return nil, fmt.Errorf("seal part %d: audit: %w", s.next, err)
	}
	s.nonce.set(s.next, last)
	s.next++ // before sealing: a counter counts as used even if sealing fails
	dst = s.aead.Seal(dst, s.nonce[:], plain, nil)
	if last {
		s.aead = nil
	}
	return dst, nil
}

// fits reports whether a part of n plain bytes may come next.
func (s *Sealer) fits(n int, last bool) bool {
	if n < 1 || n > PartSize || !last && n != PartSize {
		return false
	}
	return s.next*PartSize+int64(n) <= MaxPlain
}

// sealAll appends the commitment and all parts of plain to dst.
func (s *Sealer) sealAll(dst, plain []byte) ([]byte, error) {
	dst = slices.Grow(dst, int(SealedSize(int64(len(plain)))))
	dst = append(dst, s.commitment[:]...)
	for {
		n := min(len(plain), PartSize)
		last := n == len(plain)
		var err error
		if dst, err = s.SealPart(dst, plain[:n], last); err != nil || last {
			return dst, err
		}
		plain = plain[n:]
	}
}

// nonce is an 11-byte big-endian counter and the last flag, 0 or 1.
type nonce [12]byte

// set writes the nonce of a part: all of it, since nonce buffers are reused.
func (n *nonce) set(index int64, last bool) {
	*n = nonce{}
	binary.BigEndian.PutUint64(n[3:], uint64(index))
	if last {
		n[11] = 1
	}
}

// newAEAD returns the cipher of an extent's key.
func newAEAD(key Key) (cipher.AEAD, error) {
	k := derive(key, nil, forCipher)
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return aead, nil
}

// commitmentOf returns the commitment to an extent's key.
func commitmentOf(key Key) [CommitmentSize]byte { return derive(key, nil, forCommitment) }
