package protocol

import "fmt"

// FactKind tells what a fact's bytes are. Kinds are only ever appended.
type FactKind uint8

// The kinds of facts.
const (
	FactRecord   FactKind = 1 // the group record
	FactTable    FactKind = 2 // the owner's table; the first one seen stays
	FactEnvelope FactKind = 3 // a member's signed peer record; the newest counts
	FactGrant    FactKind = 4
	FactDelete   FactKind = 5 // overrides grants of its subject
	FactRenewal  FactKind = 6 // the newest counts
	FactPointer  FactKind = 7 // the highest seq counts
)

// MaxFact bounds the bytes of one fact.
const MaxFact = maxSigned

// Fact is one signed or self-certifying statement about a group. The state of a
// group is the union of its facts; replays do nothing (SPEC.md, Facts).
type Fact struct {
	Kind  FactKind `cbor:"kind"`
	Bytes []byte   `cbor:"bytes"`
}

// ID returns the fact's name: BLAKE3-256 over its kind and its bytes.
func (f Fact) ID() Hash {
	b := make([]byte, 1+len(f.Bytes))
	b[0] = byte(f.Kind)
	copy(b[1:], f.Bytes)
	return Sum(b)
}

// Opened is a fact whose signature fits its group; only the field for its kind
// is set.
type Opened struct {
	Kind     FactKind
	Record   *GroupRecord
	Table    *Table
	Envelope *PeerRecord
	Grant    *Grant
	Delete   *Delete
	Renewal  *Renewal
	Pointer  *Pointer
}

// OpenFact verifies a fact of the group that r founds. An envelope says nothing
// about groups: the caller must check whether its peer is a member.
func OpenFact(r *GroupRecord, g GroupID, f Fact) (Opened, error) {
	o := Opened{Kind: f.Kind}
	if len(f.Bytes) > MaxFact {
		return o, malformed("fact", "%d bytes", len(f.Bytes))
	}
	var err error
	switch f.Kind {
	case FactRecord:
		var id GroupID
		o.Record, id, err = ParseGroupRecord(r.Network, f.Bytes)
		if err == nil && id != g {
			err = malformed(kindGroup, "of another group")
		}
	case FactTable:
		o.Table, err = OpenTable(r, g, f.Bytes)
	case FactEnvelope:
		var p PeerRecord
		p, err = Envelope(f.Bytes).Open()
		o.Envelope = &p
	case FactGrant:
		o.Grant, err = OpenGrant(r, g, f.Bytes)
	case FactDelete:
		o.Delete, err = OpenDelete(r, g, f.Bytes)
	case FactRenewal:
		o.Renewal, err = OpenRenewal(r, g, f.Bytes)
	case FactPointer:
		o.Pointer, err = OpenPointer(r.Network, f.Bytes)
	default:
		err = Refuse(CodeVersion, "fact of kind %d", f.Kind)
	}
	if err != nil {
		return o, fmt.Errorf("open fact: %w", err)
	}
	return o, nil
}
