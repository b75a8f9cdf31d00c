package protocol

import "github.com/libp2p/go-libp2p/core/peer"

// CheckPeer accepts only the IDs of Ed25519 identities of full order. It returns
// ErrMalformed for any other.
func CheckPeer(id peer.ID) error { return checkPeer([]byte(id)) }

// shortPeer is how many characters of a peer ID messages show.
const shortPeer = 8

// ShortPeer returns the end of a peer ID, for messages: its last 8 characters.
func ShortPeer(id peer.ID) string {
	// A text that is shorter is returned whole. An ID of few bytes may have such a
	// text, and so may one that begins with zeros, which are no part of the number
	// that is written.
	if len(id) <= shortPeer || id[0] == 0 && id[1] == 0 {
		s := id.String()
		return s[max(0, len(s)-shortPeer):]
	}
	// The text is the ID as a number to the base 58, most significant digit first.
	// Its end is that number modulo 58^8: writing all of it takes a hundred times as
	// long, and the debug log shows an ID with every message.
	const base, digits = 58, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	most := uint64(1)
	for range shortPeer {
		most *= base
	}
	rest := uint64(0)
	for i := range len(id) {
		rest = (rest<<8 | uint64(id[i])) % most
	}
	var out [shortPeer]byte
	for i := range out {
		out[shortPeer-1-i] = digits[rest%base]
		rest /= base
	}
	return string(out[:])
}
