package node

import (
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
)

// crowd is whom an entry of a table that groups share counts for: its group, or
// where the peer that asked for it comes from. Anybody may found groups, and be all
// of their members: either alone keeps nobody from having most of the table. The
// zero crowd is that of all peers whose address is not shown.
type crowd struct {
	group protocol.GroupID
	at    quota.Source
	peer  peer.ID // where the source is exempt
}

// crowdsOf returns the crowds of what a peer asks of a group.
func crowdsOf(g protocol.GroupID, from protocol.Remote) []crowd {
	return []crowd{{group: g}, crowdBy(from)}
}

// crowdBy returns the crowd of what comes from where a peer does.
func crowdBy(from protocol.Remote) crowd {
	if at := quota.SourceOf(from); !at.Exempt() {
		return crowd{at: at}
	}
	return crowd{peer: from.Peer}
}
