package client

import (
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

// networks says to which network each group of the journal belongs. A home belongs
// to one network at a time; what it has put in others stays listed.
type networks map[protocol.GroupPrefix]string

func networksOf(tx *kv.Tx) (networks, error) {
	states, err := groupsIn(tx)
	if err != nil {
		return nil, err
	}
	n := make(networks, len(states))
	for _, s := range states {
		rec, err := s.record()
		if err != nil {
			return nil, err
		}
		n[s.id().Prefix()] = rec.Network
	}
	return n, nil
}

// of returns the network of the segments and pointers of one put, or "" where there
// are none.
func (n networks) of(subjects []deletedSubject) string {
	for _, s := range subjects {
		return n[s.Group.Prefix()]
	}
	return ""
}

// check returns an OtherNetworkError unless all subjects are of a network.
func (n networks) check(network string, subjects []deletedSubject) error {
	for _, s := range subjects {
		if other := n[s.Group.Prefix()]; other != network {
			return &OtherNetworkError{other, network}
		}
	}
	return nil
}

// elsewhere returns an OtherNetworkError if the group is not of this session's
// network.
func (c *Client) elsewhere(g *ownGroup) error {
	if g.networkName == c.cfg.Network {
		return nil
	}
	return &OtherNetworkError{g.networkName, c.cfg.Network}
}
