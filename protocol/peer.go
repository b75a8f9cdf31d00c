package protocol

import "github.com/libp2p/go-libp2p/core/peer"

// CheckPeer admits the IDs of Ed25519 identities of full order only. It
// returns ErrMalformed for any other.
func CheckPeer(id peer.ID) error { return checkPeer([]byte(id)) }

// shortPeer is how many characters of a peer ID messages show.
const shortPeer = 8

// ShortPeer returns the end of a peer ID, for messages: its last 8 characters.
func ShortPeer(id peer.ID) string {
	// A text that is not this long is all of it. An ID of fewer bytes may have
	// such a text, as may one that begins with zeros, which are no part of the
	// number that is written.
	if len(id) <= shortPeer || id[0] == 0 && id[1] == 0 {
		s := id.String()
		return s[max(0, len(s)-shortPeer):]
	}
	// The text is the ID as a number to the base 58, most significant digit first.
	// Its end is that number's rest: to write all of it takes a hundred times as
	// long, and the debug log asks for one at every message.
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
