package protocol

// --- Nominate

// NominateRequest names the candidate that the asker drew for a vacant slot:
// first to the candidate itself, then to the group's members.
type NominateRequest struct {
	Group     GroupID  `cbor:"group"`
	Slot      int      `cbor:"slot"`
	Record    []byte   `cbor:"record"`
	Table     []byte   `cbor:"table"`
	Bytes     int64    `cbor:"bytes"`     // that the candidate is to reserve
	Candidate Envelope `cbor:"candidate"` // its peer record; empty: the asked peer is the candidate
}

// NominateReply is a candidate's yes; from a member it is empty.
type NominateReply struct {
	Envelope Envelope `cbor:"envelope"` // the candidate's own
	Until    int64    `cbor:"until"`    // Unix seconds at which its reservation ends
}

// --- Enter

// EnterRequest is a peer's request to be audited as the holder of a slot.
type EnterRequest struct {
	Group    GroupID `cbor:"group"`
	Slot     int     `cbor:"slot"`
	Handover []byte  `cbor:"handover"` // from the slot's holder to the asker; empty: none
}

// EnterReply says that the asked member will audit the asker.
type EnterReply struct{}

// --- Mend

// Purpose says why a member reads a shard without a read proof.
type Purpose uint8

// The purposes.
const (
	PurposeRepair  Purpose = 1 // to make shards that others have lost
	PurposeMending Purpose = 2 // to make the asker's own shard again, which it thereby says is lost
)

// MendRequest asks a co-member for a whole shard. The reply is Get's.
type MendRequest struct {
	Group      GroupID   `cbor:"group"`
	Segment    SegmentID `cbor:"segment"`
	Slot       int       `cbor:"slot"` // AnySlot: the one that the asked peer holds
	Purpose    Purpose   `cbor:"purpose"`
	Descriptor bool      `cbor:"descriptor"` // wanted
}

// Kind returns KindNominate.
func (*NominateRequest) Kind() Kind { return KindNominate }

// Kind returns KindEnter.
func (*EnterRequest) Kind() Kind { return KindEnter }

// Kind returns KindMend.
func (*MendRequest) Kind() Kind { return KindMend }

// MaxLen returns 16 KiB.
func (*NominateRequest) MaxLen() int { return maxSmall }

// MaxLen returns 16 KiB.
func (*NominateReply) MaxLen() int { return maxSmall }

// MaxLen returns 16 KiB.
func (*EnterRequest) MaxLen() int { return maxSmall }

// MaxLen returns 16 KiB.
func (*EnterReply) MaxLen() int { return maxSmall }

// MaxLen returns 16 KiB.
func (*MendRequest) MaxLen() int { return maxSmall }

// Validate checks slot and lengths.
func (m *NominateRequest) Validate() error {
	if err := inRange("nominate", "slot", int64(m.Slot), MaxShards-1); err != nil {
		return err
	}
	if len(m.Record) > maxSigned || len(m.Table) > maxSigned || len(m.Candidate) > MaxEnvelope {
		return malformed("nominate", "record of %d, table of %d, peer record of %d bytes",
			len(m.Record), len(m.Table), len(m.Candidate))
	}
	return inRange("nominate", "bytes", m.Bytes, MaxInt)
}

// Validate checks the envelope's length.
func (m *NominateReply) Validate() error {
	if len(m.Envelope) > MaxEnvelope {
		return malformed("nominate", "peer record of %d bytes", len(m.Envelope))
	}
	return inRange("nominate", "until", m.Until, MaxInt)
}

// Validate checks slot and length.
func (m *EnterRequest) Validate() error {
	if len(m.Handover) > maxHandover {
		return malformed("enter", "handover of %d bytes", len(m.Handover))
	}
	return inRange("enter", "slot", int64(m.Slot), MaxShards-1)
}

// Validate accepts every acceptance: it holds nothing.
func (*EnterReply) Validate() error { return nil }

// Validate checks slot and purpose.
func (m *MendRequest) Validate() error {
	if m.Slot < AnySlot || m.Slot >= MaxShards {
		return malformed("mend", "slot %d", m.Slot)
	}
	if m.Purpose != PurposeRepair && m.Purpose != PurposeMending {
		return malformed("mend", "purpose %d", m.Purpose)
	}
	return nil
}
