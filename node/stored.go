package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// Notes are facts that this node keeps for itself beside a group's facts. They
// are named like facts and never sent; protocol's kinds count up from 1.
const (
	noteOrigin    = 0xf0 // when the group came here, and from where
	noteDeleted   = 0xf1 // since when a segment waits to be freed
	noteNominated = 0xf2 // for which slot this node was nominated
	noteSeats     = 0xf3 // who holds which slot, as this node believes
	noteStandings = 0xf4 // how neighbours stand
	noteHandover  = 0xf5 // by which this node was given its slot
	noteHanding   = 0xf6 // to whom this node hands its slot over
	noteFalse     = 0xf7 // that a segment's descriptor is proved false
	noteLists     = 0xf8 // what holders lack by their own word
)

// isNote reports whether a stored fact is this node's own note.
func isNote(kind uint8) bool { return kind >= noteOrigin }

// origin is the note that a group's first facts come with.
type origin struct {
	Seen int64  `cbor:"seen"` // Unix seconds
	From string `cbor:"from"` // source
}

// deletion is the note that a delete of a held segment comes with.
type deletion struct {
	Segment protocol.SegmentID `cbor:"segment"`
	Since   int64              `cbor:"since"` // Unix seconds
}

// nomination is the note of a slot that the table gives to another peer.
type nomination struct {
	Slot  int    `cbor:"slot"`
	Since int64  `cbor:"since"` // Unix seconds
	By    []byte `cbor:"by"`    // peer ID
}

func unix(seconds int64) time.Time { return time.Unix(seconds, 0) }

func note(g protocol.GroupID, kind uint8, v any) (storage.Fact, error) {
	b, err := protocol.Encode(v)
	return storage.Fact{Group: g, Kind: kind, Bytes: b}, err
}

func originNote(g protocol.GroupID, from source, now time.Time) (storage.Fact, error) {
	return note(g, noteOrigin, origin{now.Unix(), from.text()})
}

func (n *Node) deletionNote(g protocol.GroupID, s protocol.SegmentID) (storage.Fact, freeing, error) {
	now := n.now()
	f, err := note(g, noteDeleted, deletion{s, now.Unix()})
	return f, freeing{now.Add(n.cfg.Timing.DeleteDelay), f.ID()}, err
}

func nominationNote(g protocol.GroupID, slot int, by peer.ID, now time.Time) (storage.Fact, error) {
	return note(g, noteNominated, nomination{slot, now.Unix(), []byte(by)})
}

// parseNomination returns the slot that a note names, -1 where it cannot be
// read; by whose word, and since when.
func parseNomination(b []byte) (slot int, by peer.ID, since time.Time) {
	var v nomination
	if err := protocol.Decode("note", b, &v); err != nil || v.Slot < 0 || v.Slot >= protocol.MaxShards {
		return -1, "", since
	}
	return v.Slot, peer.ID(v.By), unix(v.Since)
}

func toStore(g protocol.GroupID, f protocol.Fact) storage.Fact {
	return storage.Fact{Group: g, Kind: uint8(f.Kind), Bytes: f.Bytes}
}

func fromStore(f storage.Fact) protocol.Fact {
	return protocol.Fact{Kind: protocol.FactKind(f.Kind), Bytes: f.Bytes}
}

// signedBytes is how signed things are written: what openStored reads without
// asking for the signature again.
type signedBytes struct {
	Body []byte `cbor:"body"`
	Sig  []byte `cbor:"sig"`
}

// openStored reads a fact of this node's own store. Signatures were verified
// before it was stored, and the store's checksums have been since.
func openStored(network string, f protocol.Fact) (protocol.Opened, error) {
	o := protocol.Opened{Kind: f.Kind}
	var err error
	switch f.Kind {
	case protocol.FactRecord:
		o.Record, _, err = protocol.ParseGroupRecord(network, f.Bytes)
	case protocol.FactTable:
		o.Table = new(protocol.Table)
		err = openBody("table", f.Bytes, o.Table)
	case protocol.FactEnvelope:
		var p protocol.PeerRecord
		p, err = protocol.Envelope(f.Bytes).Unverified()
		o.Envelope = &p
	case protocol.FactGrant:
		o.Grant = new(protocol.Grant)
		err = openBody("grant", f.Bytes, o.Grant)
	case protocol.FactDelete:
		o.Delete = new(protocol.Delete)
		err = openBody("delete", f.Bytes, o.Delete)
	case protocol.FactRenewal:
		o.Renewal = new(protocol.Renewal)
		err = openBody("renewal", f.Bytes, o.Renewal)
	case protocol.FactPointer:
		o.Pointer = new(protocol.Pointer)
		err = openBody("pointer", f.Bytes, o.Pointer)
	default:
		err = protocol.Refuse(protocol.CodeVersion, "fact of kind %d", f.Kind)
	}
	if err != nil {
		return o, fmt.Errorf("read stored fact: %w", err)
	}
	return o, nil
}

func openBody(thing string, b []byte, v any) error {
	var s signedBytes
	if err := protocol.Decode(thing, b, &s); err != nil {
		return err
	}
	return protocol.Decode(thing, s.Body, v)
}

// dropNotes drops this node's own notes about a group that the disk damaged:
// nobody can bring them again.
func (n *Node) dropNotes(ctx context.Context, id protocol.GroupID) {
	var rotten []protocol.Hash
	for info, err := range n.store.FactInfos(ctx, id) {
		if err != nil || !isNote(info.Kind) {
			continue
		}
		if _, err := n.store.Fact(ctx, id, info.ID); errors.Is(err, storage.ErrCorrupt) {
			rotten = append(rotten, info.ID)
		}
	}
	n.dropFacts(ctx, id, rotten)
}
