package protocol

import "github.com/libp2p/go-libp2p/core/peer"

// CheckPeer admits the IDs of Ed25519 identities of full order only. It
// returns ErrMalformed for any other.
func CheckPeer(id peer.ID) error { return checkPeer([]byte(id)) }
