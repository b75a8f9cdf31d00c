package node

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
)

// listings is what the members say about who holds this node's slot.
type listings struct {
	others   int // members, without this node and the peer in question
	asked    int // of these, those that live
	answered int // of these
	listing  int // of these, those that list it
}

// settled reports whether the members know a peer for the holder: all of those
// that answer, or, when it is late, more than half of them; else one that lies could
// keep a node from ever leaving.
func (l listings) settled(late bool) bool {
	switch {
	case l.others == 0:
		return true
	case l.answered == 0 || 2*l.answered < l.asked:
		return false
	case late:
		return 2*l.listing > l.answered
	}
	return l.listing == l.answered
}

// listings asks the members that live whether they list a peer at this node's
// slot.
func (s *succession) listings(ctx context.Context, v *neighbours.Roll, who peer.ID) (l listings) {
	var mu sync.Mutex
	var all errgroup.Group
	all.SetLimit(asksAtOnce)
	for i := range v.Table.Held {
		to := v.Table.Held[i].Peer
		if i == v.Self || to == who {
			continue
		}
		if l.others++; !v.Living.Has(i) {
			continue
		}
		l.asked++
		all.Go(func() error {
			ask, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			m, err := s.caller.Members(ask, to, &protocol.MembersRequest{Group: v.ID})
			if err != nil {
				s.log.Debug("a member does not say who holds a slot", "group", v.ID.Prefix(), "peer", protocol.ShortPeer(to), "err", err)
				return nil
			}
			lists := listsAt(m, v.Own(), who)
			mu.Lock()
			defer mu.Unlock()
			l.answered++
			if lists {
				l.listing++
			}
			return nil
		})
	}
	_ = all.Wait()
	return l
}

// listsAt reports whether a reply lists a peer at a slot.
func listsAt(m *protocol.MembersReply, slot int, who peer.ID) bool {
	for _, o := range m.Members {
		if o.Slot != slot {
			continue
		}
		if rec, err := o.Envelope.Open(); err == nil && rec.Peer == who {
			return true
		}
	}
	return false
}
