package protocol

import (
	"crypto/ed25519"
	"encoding/hex"
	"slices"
)

// PublicKey is an Ed25519 public key, 32 bytes.
type PublicKey [ed25519.PublicKeySize]byte

// String returns the key as 64 lower-case hexadecimal digits.
func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// PublicKeyOf returns the public half of a private key.
func PublicKeyOf(k ed25519.PrivateKey) PublicKey {
	return PublicKey(k.Public().(ed25519.PublicKey))
}

// smallOrder reports whether raw encodes, in any encoding, one of the eight points of
// small order: with such a key Go's verification accepts some signature for every
// message.
func smallOrder(raw []byte) bool {
	if len(raw) != ed25519.PublicKeySize {
		return true
	}
	var k [32]byte
	copy(k[:], raw)
	k[31] &= 0x7f // the sign of x
	return slices.Contains(smallPoints[:], hex.EncodeToString(k[:]))
}

// y coordinates of the points of small order, then those that are equal to one of
// them modulo 2^255-19.
var smallPoints = [...]string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}
