package protocol

import (
	"crypto/ed25519"
	"time"
)

// PayloadSize is the length in bytes of a pointer's sealed payload: a
// commitment, TargetSize plain bytes, one authentication tag.
const PayloadSize = 32 + TargetSize + 16

// Pointer is the only mutable record: a signed, sealed reference that is a fact of
// its home group (SPEC.md, Pointer).
type Pointer struct {
	head
	Key     PublicKey `cbor:"key"`
	Seq     int64     `cbor:"seq"`     // the highest wins
	Salt    [32]byte  `cbor:"salt"`    // of the payload's key
	Payload []byte    `cbor:"payload"` // PayloadSize bytes; empty: revoked
	Until   int64     `cbor:"until"`   // Unix seconds; 0: for ever
}

const kindPointer = "pointer"

// PointerIDOf returns the name of the pointer that a key writes.
func PointerIDOf(key PublicKey) PointerID {
	h := Sum(key[:])
	return PointerID(h[:16])
}

// SignPointer makes and signs a pointer record. until may be zero: for ever.
func SignPointer(key ed25519.PrivateKey, network string, seq int64, salt [32]byte, payload []byte, until time.Time) []byte {
	p := Pointer{newHead(kindPointer, network), PublicKeyOf(key), seq, salt, payload, 0}
	if !until.IsZero() {
		p.Until = until.Unix()
	}
	return sign(key, &p)
}

// OpenPointer verifies a pointer record of a network. The caller must compare its ID
// with the one that a link names.
func OpenPointer(network string, b []byte) (*Pointer, error) {
	p := new(Pointer)
	s, err := openSigned(kindPointer, b, p)
	if err != nil {
		return nil, err
	}
	if err := p.check(kindPointer, network); err != nil {
		return nil, err
	}
	if len(p.Payload) != PayloadSize && len(p.Payload) != 0 {
		return nil, malformed(kindPointer, "payload of %d bytes", len(p.Payload))
	}
	if err := inRange(kindPointer, "seq", p.Seq, MaxInt); err != nil {
		return nil, err
	}
	if err := inRange(kindPointer, "until", p.Until, MaxInt); err != nil {
		return nil, err
	}
	return p, s.verify(kindPointer, p.Key)
}

// ID returns the pointer's name.
func (p *Pointer) ID() PointerID { return PointerIDOf(p.Key) }

// Revoked reports whether the pointer is a tombstone.
func (p *Pointer) Revoked() bool { return len(p.Payload) == 0 }

// Expired reports whether the pointer's time is over at now.
func (p *Pointer) Expired(now time.Time) bool { return p.Until != 0 && now.Unix() > p.Until }
