package node

import (
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// miss notes that a peer that asks for a slot has not got a segment yet.
func (h *neighbours) miss(id protocol.GroupID, p peer.ID, slot int, seg protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil || g.lacks >= maxLacks {
		return
	}
	if s := g.at(p, slot); s != nil {
		if s.lacks == nil {
			s.lacks = make(map[protocol.SegmentID]struct{})
		}
		if _, known := s.lacks[seg]; !known {
			s.lacks[seg] = struct{}{}
			g.lacks++
		}
	}
}

// maxLacks bounds the segments that all holders of one group together are
// known to lack; of who lacks more, the rest is found when it is asked again.
const maxLacks = 1 << 16

// setLacks notes which segments of a group a holder lacks by its own word,
// instead of those noted before.
func (h *neighbours) setLacks(id protocol.GroupID, p peer.ID, slot int, list []protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	s := g.at(p, slot)
	if s == nil {
		return
	}
	g.lacks -= len(s.lacks)
	s.lacks = nil
	list = list[:min(len(list), maxLacks-g.lacks)]
	if len(list) > 0 {
		s.lacks = make(map[protocol.SegmentID]struct{}, len(list))
	}
	for _, l := range list {
		s.lacks[l] = struct{}{}
	}
	g.lacks += len(s.lacks)
}

// got notes that a holder has a segment that it lacked.
func (h *neighbours) got(id protocol.GroupID, p peer.ID, slot int, s protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	if at := g.at(p, slot); at != nil {
		if _, lacked := at.lacks[s]; lacked {
			delete(at.lacks, s)
			g.lacks--
		}
	}
}
