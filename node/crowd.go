package node

import (
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
)

// crowd is what an entry counts for in a table that groups share: its group, or the
// place from which the peer asked for it. Anybody may found groups, and be all of
// their members: if only one of the two counted, somebody could have most of the
// table. The zero crowd is that of all peers whose address is not shown.
type crowd struct {
	group protocol.GroupID
	at    quota.Source
	peer  peer.ID // where the source is exempt
}

// crowdsOf returns the crowds of what a peer asks of a group.
func crowdsOf(g protocol.GroupID, from protocol.Remote) []crowd {
	return []crowd{{group: g}, crowdBy(from)}
}

// crowdBy returns the crowd of the place that a peer comes from.
func crowdBy(from protocol.Remote) crowd {
	if at := quota.SourceOf(from); !at.Exempt() {
		return crowd{at: at}
	}
	return crowd{peer: from.Peer}
}
