package protocol

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
)

const memberHead = `
What members of a group ask one another: SPEC.md, "Handover", "Audit" and what follows it. Keys, network, group and
segment are those of records.txt. A challenged chunk is the number of the chunk that "secret" and "nonce" select of
"slot" of "segment", a shard of "size" bytes; the bytes are those that are hashed.`

func memberVectors(w *world) (string, []vector) {
	var list []vector
	list = append(list, w.handoverVectors()...)
	list = append(list, w.chunkVectors()...)
	list = append(list, w.memberMessages()...)
	return memberHead, append(list, w.badMemberMessages()...)
}

func (w *world) handover() []byte {
	return encoded(SignHandover(w.peers[2], vectorNetwork, w.group, 2, w.ids[1]))
}

func (w *world) handoverVectors() []vector {
	const kind = "handover"
	good := w.handover()
	list := pairsOf(bodyOf(good))
	signed := func(field string, value ...byte) []byte {
		return signBody(seeded(seedPeer+2), mapOf(set(list, field, value...)...))
	}
	out := []vector{
		okVector("handover/plain", kind, "peer 12 hands slot 2 to peer 11", good).with("holder", w.ids[2]).with("successor", w.ids[1]),
		badVector("handover/other-peer", kind, "signed by peer 10, which does not hold the slot", CodeDenied, signBody(seeded(seedPeer), bodyOf(good))),
		badVector("handover/owner-key", kind, "signed by the owner key", CodeDenied, signBody(w.owner, bodyOf(good))),
		badVector("handover/damaged", kind, "one bit of the signature is wrong", CodeDenied, flipSignature(good)),
		badVector("handover/other-group", kind, "of another group", CodeMalformed,
			encoded(SignHandover(w.peers[2], vectorNetwork, GroupID{1}, 2, w.ids[1]))),
		badVector("handover/other-network", kind, "of another network", CodeNetwork,
			encoded(SignHandover(w.peers[2], "other", w.group, 2, w.ids[1]))),
		badVector("handover/version-2", kind, "of a later version", CodeVersion, signed("v", 2)),
		badVector("handover/slot", kind, "slot 128", CodeMalformed, signed("slot", 0x18, MaxShards)),
		badVector("handover/successor", kind, "a successor that is no peer ID", CodeMalformed, signed("successor", 0x40)),
		badVector("handover/as-grant", "grant", "a handover where a grant belongs", CodeMalformed, good),
		badVector("handover/long", kind, "over 1 KiB", CodeMalformed, make([]byte, maxHandover+1)),
	}
	return append(out, spoiltVectors(kind, bodyOf(good), seeded(seedPeer+2))...)
}

// challenge is the one in all vectors: secret 32 times 0xa1, nonce 32 times 0xb2.
var challenge = Challenge{Half(bytes.Repeat([]byte{0xa1}, 32)), Half(bytes.Repeat([]byte{0xb2}, 32))}

func (w *world) chunkVectors() []vector {
	var out []vector
	for _, c := range []struct {
		slot int
		size int64
	}{{0, 64}, {0, MaxShardSize}, {1, MaxShardSize}, {127, MaxShardSize}, {2, 5*LeafSize + 64}, {2, 3 * LeafSize}} {
		s := ShardRef{w.segment, c.slot}
		// As SPEC.md says, independently of the code under test.
		in := slices.Concat([]byte("cairn/v1/chunk\x00"), challenge.Secret[:], challenge.Nonce[:], w.segment[:], []byte{byte(c.slot)})
		out = append(out, okVector("chunk/slot-"+strconv.Itoa(c.slot)+"-of-"+strconv.FormatInt(c.size, 10), "challenged chunk",
			"which chunk a challenge selects", in).
			with("secret", challenge.Secret).with("nonce", challenge.Nonce).with("commit", challenge.Secret.Commit()).
			with("segment", w.segment).with("slot", c.slot).with("size", c.size).with("chunk", challenge.Chunk(s, c.size)))
	}
	return out
}

// checkChunk selects the chunk as any implementation would, from SPEC.md alone.
func checkChunk(t *testing.T, v vector) {
	sum := Sum(v.bytes)
	var mod int
	for _, b := range sum[:8] { // a number of 64 bits, modulo few chunks
		mod = (mod*256 + int(b)) % ((v.number(t, "size") + ChunkSize - 1) / ChunkSize)
	}
	if mod != v.number(t, "chunk") {
		t.Errorf("chunk %d", mod)
	}
	id, err := ParseSegmentID(v.value(t, "segment"))
	if err != nil {
		t.Fatal(err)
	}
	c := Challenge{Half(v.hash(t, "secret")), Half(v.hash(t, "nonce"))}
	if got := c.Chunk(ShardRef{id, v.number(t, "slot")}, int64(v.number(t, "size"))); got != int64(mod) {
		t.Errorf("the code selects chunk %d", got)
	}
	if err := CheckCommit(v.hash(t, "commit"), c.Secret); err != nil {
		t.Error(err)
	}
	if err := CheckCommit(v.hash(t, "commit"), c.Nonce); err == nil {
		t.Error("another secret fits the commitment")
	}
	if !bytes.Contains(v.bytes, []byte(hexBytes(t, v.value(t, "nonce")))) {
		t.Error("the nonce is not what is hashed")
	}
}

func hexBytes(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *world) auditRequest() *AuditRequest {
	return &AuditRequest{Group: w.group, Commit: challenge.Secret.Commit(), Shards: []ShardRef{{w.segment, 2}, {SegmentID{1}, 0}}}
}

func (w *world) nominateRequest() *NominateRequest {
	return &NominateRequest{Group: w.group, Slot: 1, Record: w.recordBytes, Table: w.table(), Bytes: 1 << 20}
}

func (w *world) memberMessages() []vector {
	ok := func(name, kind, about string, m Message) vector {
		return okVector(dashed(kind)+"/"+name, kind, about, encoded(encodeMessage(m)))
	}
	named := w.nominateRequest()
	named.Candidate = w.envelope(1)
	beat := w.beat()
	return []vector{
		ok("plain", "audit request", "commits to the secret of the challenged chunks, for two shards", w.auditRequest()),
		ok("plain", "audit reply", "the nonce of the challenged chunks", &AuditReply{challenge.Nonce[:]}),
		ok("plain", "reveal request", "the secret", &RevealRequest{challenge.Secret}),
		ok("plain", "reveal reply", "a slice of 72 bytes follows; of the second shard nothing is held", &RevealReply{[]Code{0, CodeNotFound}, []int{72, 0}}),
		ok("plain", "beat request", "away for a day, with the renewal of one group", &BeatRequest{beat}),
		ok("plain", "beat reply", "draining, and its disk is missing", &BeatReply{Beat{Clock: at.Unix(), SuspendedUntil: at.Unix() + 1, Draining: true}}),
		ok("candidate", "nominate request", "to the candidate for slot 1 itself, with 1 MiB to reserve", w.nominateRequest()),
		ok("member", "nominate request", "to a member: peer 11 is the candidate", named),
		ok("candidate", "nominate reply", "peer 11 says yes for an hour", &NominateReply{w.envelope(1), at.Unix() + 3600}),
		ok("member", "nominate reply", "a member has heard it", &NominateReply{}),
		ok("plain", "enter request", "into slot 1, which is vacant", &EnterRequest{Group: w.group, Slot: 1}),
		ok("handover", "enter request", "peer 11 into slot 2, which peer 12 hands over", &EnterRequest{w.group, 2, w.handover()}),
		ok("plain", "enter reply", "the asker will be audited", &EnterReply{}),
		ok("repair", "mend request", "to make what others lack, from whatever slot the peer holds",
			&MendRequest{Group: w.group, Segment: w.segment, Slot: AnySlot, Purpose: PurposeRepair}),
		ok("mending", "mend request", "the asker has lost its own; with the descriptor",
			&MendRequest{w.group, w.segment, 2, PurposeMending, true}),
		ok("plain", "mend reply", "of slot 2; 256 bytes follow the frame", &GetReply{Slot: 2, Length: 256}),
	}
}

func (w *world) badMemberMessages() []vector {
	var list []vector
	bad := func(name, kind, about string, m any) {
		list = append(list, badVector(dashed(kind)+"/"+name, kind, about, CodeMalformed, mustEncode(m)))
	}
	bad("shards-0", "audit request", "no shard", &AuditRequest{})
	bad("shards-65", "audit request", "65 shards", &AuditRequest{Shards: manyShards(MaxAuditShards + 1)})
	bad("shard-twice", "audit request", "a shard stands there twice", &AuditRequest{Shards: []ShardRef{{}, {}}})
	bad("slot-any", "audit request", "slot -1: an audit names its slot", &AuditRequest{Shards: []ShardRef{{Slot: AnySlot}}})
	bad("slot", "audit request", "slot 128", &AuditRequest{Shards: []ShardRef{{Slot: MaxShards}}})
	bad("nonce-31", "audit reply", "a nonce of 31 bytes", &AuditReply{make([]byte, 31)})
	bad("nonce-33", "audit reply", "a nonce of 33 bytes", &AuditReply{make([]byte, 33)})
	bad("results-65", "reveal reply", "65 results", &RevealReply{make([]Code, MaxAuditShards+1), make([]int, MaxAuditShards+1)})
	bad("lengths", "reveal reply", "two results, one length", &RevealReply{[]Code{5, 5}, []int{0}})
	bad("slice-0", "reveal reply", "a result of 0 without a slice", &RevealReply{[]Code{0}, []int{0}})
	bad("slice-refused", "reveal reply", "a slice of a shard that is not held", &RevealReply{[]Code{5}, []int{72}})
	bad("slice-long", "reveal reply", "a slice longer than any of one chunk", &RevealReply{[]Code{0}, []int{MaxChunkSlice + 1}})
	bad("slice-negative", "reveal reply", "a slice of -1 bytes", &RevealReply{[]Code{0}, []int{-1}})
	bad("result", "reveal reply", "a result of 2^53", &RevealReply{[]Code{MaxInt + 1}, []int{0}})
	bad("negative", "beat request", "away until before 1970", &BeatRequest{Beat{AwayUntil: -1}})
	bad("renewals-17", "beat request", "17 renewals", &BeatRequest{Beat{Renewals: renewals(MaxBeatRenewals+1, 1)}})
	bad("renewal-0", "beat reply", "a renewal of no bytes", &BeatReply{Beat{Renewals: renewals(1, 0)}})
	bad("renewal-257", "beat reply", "a renewal of 257 bytes", &BeatReply{Beat{Renewals: renewals(1, maxRenewal+1)}})
	bad("slot", "nominate request", "slot 128", &NominateRequest{Slot: MaxShards})
	bad("candidate-long", "nominate request", "a peer record over 1 KiB", &NominateRequest{Candidate: make([]byte, MaxEnvelope+1)})
	bad("bytes", "nominate request", "bytes below 0", &NominateRequest{Bytes: -1})
	bad("envelope", "nominate reply", "a peer record over 1 KiB", &NominateReply{Envelope: make([]byte, MaxEnvelope+1)})
	bad("slot-any", "enter request", "slot -1", &EnterRequest{Slot: AnySlot})
	bad("handover-long", "enter request", "a handover over 1 KiB", &EnterRequest{Handover: make([]byte, maxHandover+1)})
	bad("slot", "mend request", "slot 128", &MendRequest{Slot: MaxShards, Purpose: PurposeRepair})
	bad("purpose-0", "mend request", "for no purpose", &MendRequest{})
	bad("purpose-3", "mend request", "for a purpose that is not known", &MendRequest{Purpose: 3})
	short := pairsOf(mustEncode(&RevealRequest{}))
	list = append(list, badVector("reveal-request/secret-31", "reveal request", "a secret of 31 bytes", CodeMalformed,
		mapOf(set(short, "secret", append([]byte{0x58, 31}, make([]byte, 31)...)...)...)))
	small := map[string]Message{
		"audit request": &AuditRequest{Shards: []ShardRef{{}}}, "reveal reply": &RevealReply{}, "beat request": &BeatRequest{},
		"nominate request": &NominateRequest{}, "enter request": &EnterRequest{}, "mend request": &MendRequest{Purpose: PurposeRepair},
	}
	for _, kind := range sortedKeys(small) {
		list = append(list, spoiltVectors(kind, mustEncode(small[kind]), nil)...)
	}
	return list
}

// manyShards returns n different shards.
func manyShards(n int) []ShardRef {
	out := make([]ShardRef, n)
	for i := range out {
		out[i] = ShardRef{SegmentID{byte(i)}, MaxShards - 1}
	}
	return out
}

func renewals(n, size int) []GroupRenewal {
	out := make([]GroupRenewal, n)
	for i := range out {
		out[i].Renewal = make([]byte, size)
	}
	return out
}

// Only an Ed25519 identity can hand a slot over.
func TestHandoverByOtherKey(t *testing.T) {
	w := newWorld(t)
	key, _, err := crypto.GenerateECDSAKeyPair(seededReader(3))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SignHandover(key, vectorNetwork, w.group, 0, w.ids[0]); err == nil {
		t.Error("an ECDSA key signed")
	}
}
