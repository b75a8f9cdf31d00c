package group

import (
	"bytes"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// MaxAnnouncers is how many members announce a group in the DHT.
const MaxAnnouncers = 16

// Announcers returns those of a group's members that announce it: the first
// MaxAnnouncers by the BLAKE3-256 digest of group ID ‖ peer ID.
// An empty ID is a vacant slot.
func Announcers(g protocol.GroupID, members []peer.ID) []peer.ID {
	type ranked struct {
		id   peer.ID
		rank protocol.Hash
	}
	all := make([]ranked, 0, len(members))
	for _, m := range members {
		if m != "" {
			all = append(all, ranked{m, protocol.Sum(append(g[:], m...))})
		}
	}
	slices.SortFunc(all, func(a, b ranked) int { return bytes.Compare(a.rank[:], b.rank[:]) })
	all = slices.CompactFunc(all, func(a, b ranked) bool { return a.id == b.id })
	all = all[:min(len(all), MaxAnnouncers)]
	out := make([]peer.ID, len(all))
	for i, a := range all {
		out[i] = a.id
	}
	return out
}
