package protocol

// MaxAuditShards bounds the shards of one audit.
const MaxAuditShards = 64

// ShardRef names one shard.
type ShardRef struct {
	Segment SegmentID `cbor:"segment"`
	Slot    int       `cbor:"slot"`
}

// --- Audit

// AuditRequest announces a challenge for shards that the asked peer should hold: it
// fixes the asker's half without revealing it yet.
type AuditRequest struct {
	Group  GroupID    `cbor:"group"`
	Commit Hash       `cbor:"commit"` // Half.Commit of the asker's half
	Shards []ShardRef `cbor:"shards"` // 1 to MaxAuditShards, all different
}

// AuditReply is the holder's half of the challenge.
type AuditReply struct {
	Nonce []byte `cbor:"nonce"` // 32 bytes: a Half
}

// --- Reveal

// RevealRequest gives the asker's half of the challenge that its last
// AuditRequest announced.
type RevealRequest struct {
	Secret Half `cbor:"secret"`
}

// RevealReply says for each shard of the challenge, in order, how it went. The
// slices of the challenged chunks follow raw, one after another.
type RevealReply struct {
	Results []Code `cbor:"results"` // 0: a slice follows
	Lengths []int  `cbor:"lengths"` // bytes of each slice; 0 where there is none
}

// Size returns how many bytes of slices follow the reply.
func (m *RevealReply) Size() (n int64) {
	for _, l := range m.Lengths {
		n += int64(l)
	}
	return n
}

// Kind returns KindAudit.
func (*AuditRequest) Kind() Kind { return KindAudit }

// Kind returns KindReveal.
func (*RevealRequest) Kind() Kind { return KindReveal }

// MaxLen returns 16 KiB.
func (*AuditRequest) MaxLen() int { return maxSmall }

// MaxLen returns 16 KiB.
func (*AuditReply) MaxLen() int { return maxSmall }

// MaxLen returns 16 KiB.
func (*RevealRequest) MaxLen() int { return maxSmall }

// MaxLen returns 16 KiB.
func (*RevealReply) MaxLen() int { return maxSmall }

// Validate checks the number of shards, their slots, and that none is listed twice.
func (m *AuditRequest) Validate() error {
	if len(m.Shards) == 0 || len(m.Shards) > MaxAuditShards {
		return malformed("audit", "%d shards", len(m.Shards))
	}
	seen := make(map[ShardRef]struct{}, len(m.Shards))
	for _, s := range m.Shards {
		if err := inRange("audit", "slot", int64(s.Slot), MaxShards-1); err != nil {
			return err
		}
		seen[s] = struct{}{}
	}
	if len(seen) != len(m.Shards) {
		return malformed("audit", "a shard stands there twice")
	}
	return nil
}

// Validate checks the nonce's length.
func (m *AuditReply) Validate() error {
	if len(m.Nonce) != len(Half{}) {
		return malformed("audit", "nonce of %d bytes", len(m.Nonce))
	}
	return nil
}

// Validate accepts every secret: CheckCommit tells whether it fits the commitment.
func (*RevealRequest) Validate() error { return nil }

// Validate checks counts, and that a slice of a possible length follows exactly where
// the result is 0.
func (m *RevealReply) Validate() error {
	if len(m.Results) > MaxAuditShards || len(m.Lengths) != len(m.Results) {
		return malformed("reveal", "%d results, %d lengths", len(m.Results), len(m.Lengths))
	}
	for i, c := range m.Results {
		if c > MaxInt {
			return malformed("reveal", "result %d", uint64(c))
		}
		if l := m.Lengths[i]; l < 0 || l > MaxChunkSlice || (l == 0) != (c != 0) {
			return malformed("reveal", "slice of %d bytes with result %d", l, uint64(c))
		}
	}
	return nil
}
