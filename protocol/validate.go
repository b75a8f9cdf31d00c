package protocol

// What each message may contain. Validate runs after decoding and before acting;
// it checks shapes and bounds, never signatures.

func (*InfoRequest) Kind() Kind    { return KindInfo }
func (*FormRequest) Kind() Kind    { return KindForm }
func (*PutRequest) Kind() Kind     { return KindPut }
func (*GetRequest) Kind() Kind     { return KindGet }
func (*HaveRequest) Kind() Kind    { return KindHave }
func (*MembersRequest) Kind() Kind { return KindMembers }
func (*FactsRequest) Kind() Kind   { return KindFacts }

func (*InfoRequest) MaxLen() int    { return maxSmall }
func (*InfoReply) MaxLen() int      { return maxInfo }
func (*FormRequest) MaxLen() int    { return maxSmall }
func (*FormReply) MaxLen() int      { return maxSmall }
func (*PutRequest) MaxLen() int     { return maxSmall }
func (*PutReply) MaxLen() int       { return maxSmall }
func (*GetRequest) MaxLen() int     { return maxSmall }
func (*GetReply) MaxLen() int       { return maxSmall }
func (*HaveRequest) MaxLen() int    { return maxPage }
func (*HaveReply) MaxLen() int      { return maxPage }
func (*MembersRequest) MaxLen() int { return maxSmall }
func (*MembersReply) MaxLen() int   { return maxPage }
func (*FactsRequest) MaxLen() int   { return maxPage }
func (*FactsReply) MaxLen() int     { return maxPage }

// Validate accepts every Info request: it is empty.
func (*InfoRequest) Validate() error { return nil }

// Validate checks the bounds of what a peer says of itself.
func (m *InfoReply) Validate() error {
	if err := CheckNetworkName(m.Network); err != nil {
		return err
	}
	if len(m.Agent) > maxAgent || len(m.Donors) > MaxInfoDonors {
		return malformed("info", "%d bytes of agent, %d donors", len(m.Agent), len(m.Donors))
	}
	if m.Agent != cleanText(m.Agent) || len(m.Accepts) > maxAgent {
		return malformed("info", "agent or accepts is not fit to be shown")
	}
	for _, d := range m.Donors {
		if len(d) > MaxEnvelope {
			return malformed("info", "peer record of %d bytes", len(d))
		}
	}
	for _, v := range []int64{int64(m.Version), m.Donated, m.Free, m.Budget, m.AwayUntil, m.Clock} {
		if err := inRange("info", "number", v, MaxInt); err != nil {
			return err
		}
	}
	return nil
}

// Validate checks profile and bounds.
func (m *FormRequest) Validate() error {
	if err := m.Profile.Validate(); err != nil {
		return err
	}
	return inRange("form", "bytes", m.Bytes, MaxInt)
}

// Validate checks the envelope's length.
func (m *FormReply) Validate() error {
	if len(m.Envelope) == 0 || len(m.Envelope) > MaxEnvelope {
		return malformed("form", "peer record of %d bytes", len(m.Envelope))
	}
	return inRange("form", "until", m.Until, MaxInt)
}

// Validate checks slot and lengths, and that a shard can have this length.
func (m *PutRequest) Validate() error {
	if err := inRange("put", "slot", int64(m.Slot), MaxShards-1); err != nil {
		return err
	}
	if len(m.Descriptor) > MaxDescriptor {
		return malformed("put", "descriptor of %d bytes", len(m.Descriptor))
	}
	if m.Length < shardAlign || m.Length > MaxShardSize || m.Length%shardAlign != 0 {
		return malformed("put", "shard of %d bytes", m.Length)
	}
	return nil
}

// Validate accepts every acknowledgement: it is empty.
func (*PutReply) Validate() error { return nil }

// Validate checks slot and range.
func (m *GetRequest) Validate() error {
	if m.Slot < AnySlot || m.Slot >= MaxShards {
		return malformed("get", "slot %d", m.Slot)
	}
	if err := inRange("get", "offset", m.Offset, MaxShardSize); err != nil {
		return err
	}
	if err := inRange("get", "length", m.Length, MaxShardSize); err != nil {
		return err
	}
	if m.Length == 0 && m.Offset != 0 || m.Offset+m.Length > MaxShardSize {
		return malformed("get", "%d bytes from offset %d", m.Length, m.Offset)
	}
	return nil
}

// Validate checks slot and lengths.
func (m *GetReply) Validate() error {
	if err := inRange("get", "slot", int64(m.Slot), MaxShards-1); err != nil {
		return err
	}
	if len(m.Descriptor) > MaxDescriptor {
		return malformed("get", "descriptor of %d bytes", len(m.Descriptor))
	}
	return inRange("get", "length", m.Length, SliceSize(MaxShardSize, MaxShardSize))
}

// Validate checks that buckets ascend, and that names and root are within bounds.
func (m *HaveRequest) Validate() error {
	if len(m.Named) > MaxGroupSegments {
		return malformed("have", "%d named segments", len(m.Named))
	}
	if len(m.Root) != 0 && len(m.Root) != digestsRoot {
		return malformed("have", "root of %d bytes", len(m.Root))
	}
	if err := checkBuckets(m.Facts); err != nil {
		return err
	}
	return checkBuckets(m.Segments)
}

func checkBuckets(list []int) error {
	last := -1
	for _, b := range list {
		if b <= last || b >= Buckets {
			return malformed("have", "bucket %d after %d", b, last)
		}
		last = b
	}
	return nil
}

// Validate checks the digests' lengths and the counts.
func (m *HaveReply) Validate() error {
	for _, d := range [][]byte{m.FactDigests, m.SegmentDigests} {
		if len(d) != 0 && len(d) != Buckets*len(Hash{}) {
			return malformed("have", "digests of %d bytes", len(d))
		}
	}
	if m.Same && len(m.FactDigests)+len(m.SegmentDigests) > 0 {
		return malformed("have", "digests, and the same as the asker's")
	}
	if m.FactsDone < 0 || m.FactsDone > Buckets || m.SegmentsDone < 0 || m.SegmentsDone > Buckets {
		return malformed("have", "%d and %d buckets done", m.FactsDone, m.SegmentsDone)
	}
	return nil
}

// Validate accepts every request: the Handler checks proofs.
func (*MembersRequest) Validate() error { return nil }

// Validate checks slots and envelopes' lengths.
func (m *MembersReply) Validate() error {
	if len(m.Members) > MaxShards || len(m.Candidates) > MaxShards {
		return malformed("members", "%d members, %d candidates", len(m.Members), len(m.Candidates))
	}
	for _, v := range m.Members {
		if v.Slot < 0 || v.Slot >= MaxShards || len(v.Envelope) > MaxEnvelope {
			return malformed("members", "slot %d, peer record of %d bytes", v.Slot, len(v.Envelope))
		}
	}
	for _, c := range m.Candidates {
		if len(c) > MaxEnvelope {
			return malformed("members", "peer record of %d bytes", len(c))
		}
	}
	return nil
}

// Validate checks counts and lengths.
func (m *FactsRequest) Validate() error {
	if len(m.Pointer) != 0 && len(m.Pointer) != len(PointerID{}) {
		return malformed("facts", "pointer of %d bytes", len(m.Pointer))
	}
	if len(m.Want) > MaxFactsPage {
		return malformed("facts", "%d facts wanted", len(m.Want))
	}
	return checkFacts(m.Offer)
}

// Validate checks counts and lengths.
func (m *FactsReply) Validate() error {
	if len(m.Results) > MaxFactsPage {
		return malformed("facts", "%d results", len(m.Results))
	}
	for _, c := range m.Results {
		if c > MaxInt {
			return malformed("facts", "result %d", uint64(c))
		}
	}
	return checkFacts(m.Facts)
}

func checkFacts(list []Fact) error {
	if len(list) > MaxFactsPage {
		return malformed("facts", "%d facts", len(list))
	}
	for _, f := range list {
		if len(f.Bytes) > MaxFact {
			return malformed("facts", "fact of %d bytes", len(f.Bytes))
		}
	}
	return nil
}
