package protocol

import (
	"crypto/ed25519"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Nonce tells the groups of one owner apart; their keys are derived from it.
type Nonce [16]byte

// GroupRecord founds a group: whoever has its keys owns the group, and the hash of
// its bytes is the group's name (SPEC.md, Group record).
type GroupRecord struct {
	head
	Owner    PublicKey `cbor:"owner"`    // grants and deletes
	Renew    PublicKey `cbor:"renew"`    // extends leases, and nothing else
	Recovery Hash      `cbor:"recovery"` // commitment to the recovery public key
	Nonce    Nonce     `cbor:"nonce"`
}

const kindGroup = "group"

// NewGroupRecord returns the record of a new group.
func NewGroupRecord(network string, owner, renew PublicKey, recovery Hash, nonce Nonce) *GroupRecord {
	return &GroupRecord{newHead(kindGroup, network), owner, renew, recovery, nonce}
}

// Encode returns the record's bytes and the group's name.
func (r *GroupRecord) Encode() ([]byte, GroupID) {
	b := mustEncode(r)
	return b, GroupID(Sum(b))
}

// ParseGroupRecord decodes and validates a record of a network.
func ParseGroupRecord(network string, b []byte) (*GroupRecord, GroupID, error) {
	r := new(GroupRecord)
	if len(b) > maxSigned {
		return nil, GroupID{}, malformed(kindGroup, "%d bytes", len(b))
	}
	if err := Decode(kindGroup, b, r); err != nil {
		return nil, GroupID{}, err
	}
	if err := r.check(kindGroup, network); err != nil {
		return nil, GroupID{}, err
	}
	if smallOrder(r.Owner[:]) || smallOrder(r.Renew[:]) {
		return nil, GroupID{}, malformed(kindGroup, "key of small order")
	}
	return r, GroupID(Sum(b)), nil
}

// Table says which peers hold which slots, as the owner drew them. Repair changes
// the holders later; the table stays as it is.
type Table struct {
	head
	Group   GroupID  `cbor:"group"`
	Profile Profile  `cbor:"profile"`
	Slots   [][]byte `cbor:"slots"` // peer IDs by slot; empty: vacant
}

const kindTable = "table"

// SignTable makes and signs a table. holders has one entry for each slot, empty
// where the slot is vacant.
func SignTable(owner ed25519.PrivateKey, network string, g GroupID, p Profile, holders []peer.ID) []byte {
	t := Table{newHead(kindTable, network), g, p, make([][]byte, len(holders))}
	for i, h := range holders {
		t.Slots[i] = []byte(h)
	}
	return sign(owner, &t)
}

// OpenTable verifies a table of the group that r founds.
func OpenTable(r *GroupRecord, g GroupID, b []byte) (*Table, error) {
	t := new(Table)
	s, err := openSigned(kindTable, b, t)
	if err != nil {
		return nil, err
	}
	if err := t.check(kindTable, r.Network); err != nil {
		return nil, err
	}
	if err := t.validate(g); err != nil {
		return nil, err
	}
	return t, s.verify(kindTable, r.Owner)
}

func (t *Table) validate(g GroupID) error {
	if t.Group != g {
		return malformed(kindTable, "of another group")
	}
	if err := t.Profile.Validate(); err != nil {
		return err
	}
	if len(t.Slots) != t.Profile.N {
		return malformed(kindTable, "%d slots for n %d", len(t.Slots), t.Profile.N)
	}
	seen := make(map[string]bool, len(t.Slots))
	for i, s := range t.Slots {
		if len(s) == 0 {
			continue
		}
		if err := checkPeer(s); err != nil {
			return fmt.Errorf("table: slot %d: %w", i, err)
		}
		if seen[string(s)] {
			return malformed(kindTable, "slot %d names a peer twice", i)
		}
		seen[string(s)] = true
	}
	return nil
}

// checkPeer accepts only the IDs of Ed25519 identities of full order.
func checkPeer(b []byte) error {
	_, err := peerKey(b)
	return err
}

// peerKey returns the key that a peer ID holds, under the rule of checkPeer.
func peerKey(b []byte) (PublicKey, error) {
	id, err := peer.IDFromBytes(b)
	if err != nil {
		return PublicKey{}, malformed("peer ID", "%v", err)
	}
	key, err := id.ExtractPublicKey()
	if err != nil {
		return PublicKey{}, malformed("peer ID", "not of an Ed25519 identity")
	}
	raw, err := key.Raw()
	if err != nil || smallOrder(raw) {
		return PublicKey{}, malformed("peer ID", "key of small order")
	}
	return PublicKey(raw), nil
}

// Holder returns the holder of a slot, or "" where it is vacant.
func (t *Table) Holder(slot int) peer.ID {
	if slot < 0 || slot >= len(t.Slots) {
		return ""
	}
	return peer.ID(t.Slots[slot])
}

// SlotOf returns the slot that a peer holds, or -1.
func (t *Table) SlotOf(id peer.ID) int {
	for i, s := range t.Slots {
		if len(s) > 0 && peer.ID(s) == id {
			return i
		}
	}
	return -1
}
