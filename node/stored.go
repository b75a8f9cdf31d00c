package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

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

func originNote(g protocol.GroupID, from quota.Source, now time.Time) (storage.Fact, error) {
	return note.New(g, note.Origin, origin{now.Unix(), from.Text()})
}

func (n *Node) deletionNote(g protocol.GroupID, s protocol.SegmentID) (storage.Fact, freeing, error) {
	now := n.now()
	f, err := note.New(g, note.Deleted, deletion{s, now.Unix()})
	return f, freeing{now.Add(n.cfg.Timing.DeleteDelay), f.ID()}, err
}

func nominationNote(g protocol.GroupID, slot int, by peer.ID, now time.Time) (storage.Fact, error) {
	return note.New(g, note.Nominated, nomination{slot, now.Unix(), []byte(by)})
}

// parseNomination returns the slot that a note names, -1 where it cannot be
// read; which peer nominated this node, and when.
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

// dropNotes drops those of this node's own notes about a group that the disk
// damaged: nobody can bring them again.
func (n *Node) dropNotes(ctx context.Context, id protocol.GroupID) {
	var rotten []protocol.Hash
	for info, err := range n.store.FactInfos(ctx, id) {
		if err != nil || !note.Is(info.Kind) {
			continue
		}
		if _, err := n.store.Fact(ctx, id, info.ID); errors.Is(err, storage.ErrCorrupt) {
			rotten = append(rotten, info.ID)
		}
	}
	n.dropFacts(ctx, id, rotten)
}
