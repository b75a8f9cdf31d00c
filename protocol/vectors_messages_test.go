package protocol

import (
	"bytes"
	"slices"
)

const messageHead = `
Bodies of messages, and whole frames: SPEC.md, "Messages". What is in them is that of records.txt.`

func messageVectors(w *world) (string, []vector) {
	list := w.plainMessages()
	list = append(list, w.badMessages()...)
	return messageHead, append(list, w.frameVectors()...)
}

func (w *world) putRequest() *PutRequest {
	return &PutRequest{Record: w.recordBytes, Slot: 2, Descriptor: w.descBytes, Grant: w.grant(), Length: w.desc.ShardSize}
}

func (w *world) getRequest() *GetRequest {
	return &GetRequest{Segment: w.segment, Slot: AnySlot, Offset: 3, Length: 100, Descriptor: true,
		Proof: SignRead(w.read, vectorNetwork, w.segment, w.ids[0])}
}

func (w *world) infoReply() *InfoReply {
	return &InfoReply{Network: vectorNetwork, Version: Version, Agent: "cairn/0.1", Donated: 1 << 40, Free: 1 << 39,
		Accepts: AcceptsOpen, Budget: 0, AwayUntil: 0, Clock: at.Unix(), Donors: []Envelope{w.envelope(1)}}
}

func (w *world) plainMessages() []vector {
	id := PointerIDOf(PublicKeyOf(w.pointer))
	list := SignList(w.owner, vectorNetwork, w.group, w.ids[0])
	fact := Fact{Kind: FactGrant, Bytes: w.grant()}
	ok := func(kind, about string, m Message) vector {
		return okVector(dashed(kind)+"/plain", kind, about, encoded(encodeMessage(m)))
	}
	return []vector{
		ok("info request", "asks for everything there is", &InfoRequest{}),
		ok("info reply", "a node of 1 TiB that knows peer 11", w.infoReply()),
		ok("form request", "slots of 1 MiB in the group of all vectors, no voucher", &FormRequest{Record: w.recordBytes, Profile: Profile{1, 2, 3}, Bytes: 1 << 20}),
		ok("form reply", "peer 10 says yes for an hour", &FormReply{Envelope: w.envelope(0), Until: at.Unix() + 3600}),
		ok("put request", "the shard of slot 2; 256 bytes follow the frame", w.putRequest()),
		ok("put reply", "it is durable", &PutReply{}),
		ok("get request", "100 bytes at 3 of whatever slot the peer holds, and the descriptor", w.getRequest()),
		ok("get reply", "of slot 2; 264 bytes follow the frame", &GetReply{Slot: 2, Length: 264, Descriptor: w.descBytes}),
		ok("have request", "lists of two buckets, and yes or no about one segment",
			&HaveRequest{Group: w.group, Proof: list, Facts: []int{0, 255}, Segments: []int{7}, Named: []SegmentID{w.segment}}),
		okVector("have-reply/same", "have reply", "the digests that the asker expects", encoded(encodeMessage(&HaveReply{Same: true}))),
		ok("have reply", "without the right to lists: one named segment is held", &HaveReply{Held: []bool{true}}),
		ok("members request", "by a read proof", &MembersRequest{Group: w.group, Segment: w.segment, Proof: SignRead(w.read, vectorNetwork, w.segment, w.ids[0])}),
		ok("members reply", "two slots are held", &MembersReply{Record: w.recordBytes, Table: w.table(),
			Members: []Member{{0, w.envelope(0)}, {2, w.envelope(2)}}}),
		ok("facts request", "offers a grant, wants it by name, and asks for a pointer",
			&FactsRequest{Group: w.group.Prefix(), Offer: []Fact{fact}, Want: []Hash{fact.ID()}, Proof: list, Pointer: id[:]}),
		ok("facts reply", "the offer is kept, and here it is", &FactsReply{Results: []Code{0}, Facts: []Fact{fact}}),
		ok("refusal", "code 7, full", &refusal{Code: CodeFull, Text: "no room for 1 MiB"}),
	}
}

func (w *world) badMessages() []vector {
	var list []vector
	bad := func(name, kind, about string, m any) {
		list = append(list, badVector(dashed(kind)+"/"+name, kind, about, CodeMalformed, mustEncode(m)))
	}
	info := func(change func(*InfoReply)) *InfoReply {
		m := w.infoReply()
		m.Donors = nil
		change(m)
		return m
	}
	bad("agent-long", "info reply", "an agent of 65 bytes", info(func(m *InfoReply) { m.Agent = string(bytes.Repeat([]byte{'a'}, 65)) }))
	bad("agent-escape", "info reply", "an agent that moves the cursor", info(func(m *InfoReply) { m.Agent = "\x1b[2J" }))
	bad("network", "info reply", "no network's name", info(func(m *InfoReply) { m.Network = "" }))
	bad("negative", "info reply", "free below 0", info(func(m *InfoReply) { m.Free = -1 }))
	bad("2-53", "info reply", "donated 2^53", info(func(m *InfoReply) { m.Donated = MaxInt + 1 }))
	bad("profile", "form request", "n over 5k", &FormRequest{Profile: Profile{1, 2, 6}})
	bad("negative", "form request", "bytes below 0", &FormRequest{Profile: Profile{1, 2, 3}, Bytes: -1})
	bad("envelope", "form reply", "no peer record", &FormReply{Until: 1})
	bad("slot", "put request", "slot 128", &PutRequest{Slot: MaxShards, Length: 64})
	bad("length-0", "put request", "no bytes follow", &PutRequest{})
	bad("length-odd", "put request", "65 bytes follow", &PutRequest{Length: 65})
	bad("length-over", "put request", "4 MiB and 64 bytes follow", &PutRequest{Length: MaxShardSize + 64})
	bad("slot", "get request", "slot -2", &GetRequest{Slot: -2})
	bad("whole-from", "get request", "a whole shard from offset 1", &GetRequest{Offset: 1})
	bad("range", "get request", "a range that ends beyond 4 MiB", &GetRequest{Offset: MaxShardSize, Length: 1})
	bad("length", "get reply", "more than any slice", &GetReply{Length: SliceSize(MaxShardSize, MaxShardSize) + 1})
	bad("buckets", "have request", "buckets that do not ascend", &HaveRequest{Facts: []int{3, 3}})
	bad("bucket-256", "have request", "bucket 256", &HaveRequest{Segments: []int{256}})
	bad("root", "have request", "a root of 32 bytes", &HaveRequest{Root: make([]byte, 32)})
	bad("digests", "have reply", "digests of 32 bytes", &HaveReply{FactDigests: make([]byte, 32)})
	bad("done", "have reply", "257 buckets done", &HaveReply{FactsDone: 257})
	bad("slot", "members reply", "slot 128", &MembersReply{Members: []Member{{MaxShards, nil}}})
	bad("envelope", "members reply", "a peer record over 1 KiB", &MembersReply{Candidates: []Envelope{make([]byte, MaxEnvelope+1)}})
	bad("pointer", "facts request", "a pointer of 17 bytes", &FactsRequest{Pointer: make([]byte, 17)})
	bad("fact", "facts request", "a fact over 8 KiB", &FactsRequest{Offer: []Fact{{Kind: FactGrant, Bytes: make([]byte, MaxFact+1)}}})
	bad("result", "facts reply", "a result of 2^53", &FactsReply{Results: []Code{MaxInt + 1}})
	bad("code-0", "refusal", "code 0 is no refusal", &refusal{})
	bad("text", "refusal", "a text over 256 bytes", &refusal{Code: CodeFull, Text: string(bytes.Repeat([]byte{'a'}, MaxErrorText+1))})
	return append(list, w.spoiltMessages()...)
}

func (w *world) spoiltMessages() []vector {
	small := map[string]Message{
		"form request": &FormRequest{Profile: Profile{1, 2, 3}}, "form reply": &FormReply{Envelope: Envelope{1}},
		"put request": &PutRequest{Length: 64}, "put reply": &PutReply{}, "get request": &GetRequest{}, "get reply": &GetReply{},
		"have request": &HaveRequest{}, "have reply": &HaveReply{}, "members request": &MembersRequest{}, "members reply": &MembersReply{},
		"facts request": &FactsRequest{}, "facts reply": &FactsReply{}, "refusal": &refusal{Code: CodeFull},
	}
	var list []vector
	for _, kind := range sortedKeys(small) {
		list = append(list, spoiltVectors(kind, mustEncode(small[kind]), nil)...)
	}
	reply := w.infoReply()
	reply.Donors = nil
	wider := mapOf(set(pairsOf(mustEncode(reply)), "zzz", 0)...)
	return append(list,
		okVector("info-reply/unknown-field", "info reply", "a later version tells more of itself: ignored", wider),
		okVector("info-request/unknown-field", "info request", "likewise", mapOf(pair{"zzz", []byte{0}})),
		badVector("info-request/undefined", "info request", "undefined is not an empty map", CodeMalformed, []byte{0xf7}),
		badVector("info-reply/null", "info reply", "nor is null", CodeMalformed, []byte{0xf6}))
}

func (w *world) frameVectors() []vector {
	const kind = "request frame"
	get := frameOf(4, encoded(encodeMessage(w.getRequest())))
	long := slices.Clone(get)
	long[3]++
	return []vector{
		okVector("frame/info", kind, "an Info request: kind 1, length 1, an empty map", []byte{1, 0, 0, 1, 0xa0}),
		okVector("frame/get", kind, "a Get request: kind 4", get),
		okVector("frame/info-unknown-field", kind, "a later version's Info request", []byte{1, 0, 0, 3, 0xa1, 0x60, 0}),
		badVector("frame/kind-0", kind, "there is no kind 0", CodeVersion, []byte{0, 0, 0, 1, 0xa0}),
		badVector("frame/kind-255", kind, "a kind of a later version", CodeVersion, []byte{255, 0, 0, 1, 0xa0}),
		badVector("frame/giant", kind, "16 MiB of Info: refused before a byte of it is read", CodeMalformed, []byte{1, 0xff, 0xff, 0xff}),
		badVector("frame/over", kind, "one byte over the 16 KiB of a Get request", CodeMalformed, []byte{4, 0, 0x40, 1}),
		badVector("frame/body-short", kind, "the body ends before its length", CodeMalformed, long),
		badVector("frame/header-short", kind, "three bytes", CodeMalformed, []byte{1, 0, 0}),
	}
}
