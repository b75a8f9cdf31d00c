package protocol

import (
	"crypto/ed25519"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Limits of one group (SPEC.md, Groups).
const (
	MaxGroupSegments = 4096 // segments ever granted
	MaxGroupPointers = 1024
	PointerFootprint = 2 << 10 // bytes that a grant counts for a pointer at each of the n holders
)

// Grant is the owner's signed wish that the group's members keep a segment or
// a pointer.
type Grant struct {
	head
	Group   GroupID `cbor:"group"`
	Subject []byte  `cbor:"subject"` // SegmentID, 32 bytes, or PointerID, 16 bytes
	Bytes   int64   `cbor:"bytes"`   // what all holders together keep for it
}

// Delete is the owner's signed wish that a subject be freed. It overrides every
// grant of its subject, for ever.
type Delete struct {
	head
	Group   GroupID `cbor:"group"`
	Subject []byte  `cbor:"subject"`
}

// Renewal says that the owner lives.
type Renewal struct {
	head
	Group GroupID `cbor:"group"`
	At    int64   `cbor:"at"` // Unix seconds
}

const (
	kindGrant   = "grant"
	kindDelete  = "delete"
	kindRenewal = "renewal"
	kindRead    = "read"
	kindList    = "list"
)

func checkSubject(kind string, s []byte) error {
	if len(s) != len(SegmentID{}) && len(s) != len(PointerID{}) {
		return malformed(kind, "subject of %d bytes", len(s))
	}
	return nil
}

// SignGrant grants a segment (32 bytes) or a pointer (16 bytes).
func SignGrant(owner ed25519.PrivateKey, network string, g GroupID, subject []byte, bytes int64) []byte {
	return sign(owner, &Grant{newHead(kindGrant, network), g, subject, bytes})
}

// OpenGrant verifies a grant in the group that r founds.
func OpenGrant(r *GroupRecord, g GroupID, b []byte) (*Grant, error) {
	v := new(Grant)
	s, err := openInGroup(kindGrant, r, b, v, &v.head, &v.Group, g)
	if err != nil {
		return nil, err
	}
	if err := checkSubject(kindGrant, v.Subject); err != nil {
		return nil, err
	}
	if err := inRange(kindGrant, "bytes", v.Bytes, MaxInt); err != nil {
		return nil, err
	}
	return v, s.verify(kindGrant, r.Owner)
}

// SignDelete frees a segment or a pointer.
func SignDelete(owner ed25519.PrivateKey, network string, g GroupID, subject []byte) []byte {
	return sign(owner, &Delete{newHead(kindDelete, network), g, subject})
}

// OpenDelete verifies a delete in the group that r founds.
func OpenDelete(r *GroupRecord, g GroupID, b []byte) (*Delete, error) {
	v := new(Delete)
	s, err := openInGroup(kindDelete, r, b, v, &v.head, &v.Group, g)
	if err != nil {
		return nil, err
	}
	if err := checkSubject(kindDelete, v.Subject); err != nil {
		return nil, err
	}
	return v, s.verify(kindDelete, r.Owner)
}

// SignRenewal says that the group's owner lives at a time.
func SignRenewal(renew ed25519.PrivateKey, network string, g GroupID, at time.Time) []byte {
	return sign(renew, &Renewal{newHead(kindRenewal, network), g, at.Unix()})
}

// OpenRenewal verifies a renewal in the group that r founds.
func OpenRenewal(r *GroupRecord, g GroupID, b []byte) (*Renewal, error) {
	v := new(Renewal)
	s, err := openInGroup(kindRenewal, r, b, v, &v.head, &v.Group, g)
	if err != nil {
		return nil, err
	}
	if err := inRange(kindRenewal, "at", v.At, MaxInt); err != nil {
		return nil, err
	}
	return v, s.verify(kindRenewal, r.Renew)
}

// RenewalDate returns the time, in Unix seconds, in bytes that may be a renewal. It
// verifies nothing: it shows which renewals are too old to be worth verifying.
func RenewalDate(b []byte) (at int64, err error) {
	v := new(Renewal)
	if _, err := openSigned(kindRenewal, b, v); err != nil {
		return 0, err
	}
	return v.At, nil
}

func openInGroup(kind string, r *GroupRecord, b []byte, body any, h *head, in *GroupID, g GroupID) (signed, error) {
	s, err := openSigned(kind, b, body)
	if err != nil {
		return s, err
	}
	if err := h.check(kind, r.Network); err != nil {
		return s, err
	}
	if *in != g {
		return s, malformed(kind, "of another group")
	}
	return s, nil
}

// readProof gives one peer the right to read one segment; groupProof gives one peer
// the right to see a group's lists. The connection authenticates the peer, so
// neither needs a time.
type readProof struct {
	head
	Segment SegmentID `cbor:"segment"`
	Peer    []byte    `cbor:"peer"`
}

type groupProof struct {
	head
	Group GroupID `cbor:"group"`
	Peer  []byte  `cbor:"peer"`
}

// SignRead proves to any holder that reader may read a segment. key is the
// private half of the descriptor's read key.
func SignRead(key ed25519.PrivateKey, network string, s SegmentID, reader peer.ID) []byte {
	return sign(key, &readProof{newHead(kindRead, network), s, []byte(reader)})
}

// CheckRead verifies a read proof against the segment's descriptor.
func CheckRead(network string, s SegmentID, d *Descriptor, reader peer.ID, b []byte) error {
	v := new(readProof)
	sig, err := openSigned(kindRead, b, v)
	if err != nil {
		return err
	}
	if err := v.check(kindRead, network); err != nil {
		return err
	}
	if v.Segment != s || string(v.Peer) != string(reader) {
		return Refuse(CodeDenied, "read proof for another segment or reader")
	}
	return sig.verify(kindRead, d.ReadKey)
}

// SignList proves to any member that asker may see a group's lists. key is the
// group's owner or renew key.
func SignList(key ed25519.PrivateKey, network string, g GroupID, asker peer.ID) []byte {
	return sign(key, &groupProof{newHead(kindList, network), g, []byte(asker)})
}

// CheckList verifies a group proof.
func CheckList(r *GroupRecord, g GroupID, asker peer.ID, b []byte) error {
	v := new(groupProof)
	sig, err := openInGroup(kindList, r, b, v, &v.head, &v.Group, g)
	if err != nil {
		return err
	}
	if string(v.Peer) != string(asker) {
		return Refuse(CodeDenied, "group proof for another asker")
	}
	return sig.verify(kindList, r.Owner, r.Renew)
}
