package protocol

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const recordHead = `
Records of issue A: SPEC.md, "Records" and what follows it.
Keys are Ed25519 with a seed of one byte 32 times: owner 01, renew 02, recovery 03, read 04,
pointer 05, peers 10, 11, 12. The network is "vectors"; the group of all records is that of
group-record/plain (profile 1/2/3), the segment that of descriptor/plain. Proofs are made for peer 10.`

// at is the time of every record.
var at = time.Unix(1_800_000_000, 0)

func recordVectors(w *world) (string, []vector) {
	var list []vector
	list = append(list, w.descriptorVectors()...)
	list = append(list, w.groupVectors()...)
	list = append(list, w.tableVectors()...)
	list = append(list, w.grantVectors()...)
	list = append(list, w.proofVectors()...)
	list = append(list, w.pointerVectors()...)
	return recordHead, append(list, w.envelopeVectors()...)
}

// spoiltVectors are the ways in which any map must be refused. With a key, b is the
// body of something signed, and each spoilt body gets a valid signature.
func spoiltVectors(kind string, b []byte, key ed25519.PrivateKey) []vector {
	var list []vector
	bad := spoilt(b)
	for _, how := range slices.Sorted(maps.Keys(bad)) {
		raw := bad[how]
		if key != nil {
			raw = signBody(key, raw)
		}
		list = append(list, badVector(dashed(kind)+"/"+how, kind, "refused for its form alone", CodeMalformed, raw))
	}
	return list
}

func dashed(kind string) string {
	return string(bytes.ReplaceAll([]byte(kind), []byte(" "), []byte("-")))
}

func signBody(key ed25519.PrivateKey, body []byte) []byte {
	return mustEncode(signed{body, ed25519.Sign(key, signInput(body))})
}

func bodyOf(b []byte) []byte {
	var s signed
	if err := Decode("signed", b, &s); err != nil {
		panic(err) // the vectors' own
	}
	return s.Body
}

func (w *world) descriptorVectors() []vector {
	const kind = "descriptor"
	d, list := w.desc, pairsOf(w.descBytes)
	bad := func(name, about string, change func(*Descriptor)) vector {
		c := *d
		c.Roots = slices.Clone(d.Roots)
		change(&c)
		b, _ := c.Encode()
		return badVector("descriptor/"+name, kind, about, CodeMalformed, b)
	}
	wide := &Descriptor{V: Version, K: 26, N: MaxShards, Size: MaxSegment, ShardSize: ShardSize(MaxSegment, 26), ReadKey: d.ReadKey}
	wide.Roots = make([]Hash, MaxShards)
	wideBytes, wideID := wide.Encode()
	out := []vector{
		okVector("descriptor/plain", kind, "one segment of 200 bytes, k 1, n 3", w.descBytes).
			with("segment", w.segment).with("footprint", d.Footprint()),
		okVector("descriptor/widest", kind, "n 128, 64 MiB", wideBytes).with("segment", wideID).with("footprint", wide.Footprint()),
		bad("k-0", "k is at least 1", func(d *Descriptor) { d.K = 0 }),
		bad("n-below-k", "n is at least k", func(d *Descriptor) { d.K = 4; d.ShardSize = 64 }),
		bad("n-over-5k", "n is at most 5k", func(d *Descriptor) { d.N = 6; d.Roots = make([]Hash, 6) }),
		bad("roots-missing", "one root for each of n", func(d *Descriptor) { d.Roots = d.Roots[:2] }),
		bad("size-0", "a segment has at least one byte", func(d *Descriptor) { d.Size = 0; d.ShardSize = 0 }),
		bad("size-over-k-shards", "at most k × 4 MiB", func(d *Descriptor) { d.Size = 4<<20 + 1; d.ShardSize = 4<<20 + 64 }),
		bad("shard-size", "shardSize is ⌈size/k⌉ rounded up to 64", func(d *Descriptor) { d.ShardSize = 192 }),
		bad("small-order-key", "a read key of small order", func(d *Descriptor) { d.ReadKey = PublicKey{1} }),
		badVector("descriptor/version-2", kind, "of a later version", CodeVersion, mapOf(set(list, "v", 2)...)),
		badVector("descriptor/version-2-field", kind, "of a later version, with a field of its own", CodeVersion,
			mapOf(set(set(list, "v", 2), "zzz", 0)...)),
		badVector("descriptor/long-int", kind, "k in two bytes", CodeMalformed, mapOf(set(list, "k", 0x18, 1)...)),
		badVector("descriptor/float", kind, "k as 1.0", CodeMalformed, mapOf(set(list, "k", 0xf9, 0x3c, 0)...)),
		badVector("descriptor/bignum", kind, "size as a bignum tag", CodeMalformed, mapOf(set(list, "size", 0xc2, 0x41, 200)...)),
		badVector("descriptor/short-key", kind, "a read key of 31 bytes", CodeMalformed,
			mapOf(set(list, "readKey", append([]byte{0x58, 31}, make([]byte, 31)...)...)...)),
	}
	return append(out, spoiltVectors(kind, w.descBytes, nil)...)
}

func (w *world) groupVectors() []vector {
	const kind = "group record"
	list := pairsOf(w.recordBytes)
	key := func(hexKey string) []byte {
		k, _ := hex.DecodeString(hexKey)
		return append([]byte{0x58, 32}, k...)
	}
	out := []vector{
		okVector("group-record/plain", kind, "the group of all vectors", w.recordBytes).
			with("group", w.group).with("prefix", w.group.Prefix()).with("findKey", hex.EncodeToString(findKey(w.group.Prefix()))),
		badVector("group-record/other-network", kind, "made for another network", CodeNetwork, mapOf(set(list, "network", append([]byte{0x65}, "other"...)...)...)),
		badVector("group-record/version-2", kind, "of a later version", CodeVersion, mapOf(set(list, "v", 2)...)),
		badVector("group-record/kind", kind, "it says that it is a table", CodeMalformed, mapOf(set(list, "kind", append([]byte{0x65}, "table"...)...)...)),
	}
	for i, p := range smallPoints {
		out = append(out, badVector("group-record/small-order-"+string('1'+rune(i)), kind, "an owner key of small order", CodeMalformed,
			mapOf(set(list, "owner", key(p)...)...)))
	}
	return append(out, spoiltVectors(kind, w.recordBytes, nil)...)
}

func findKey(p GroupPrefix) []byte { k := FindKey(p); return k[:] }

func (w *world) tableVectors() []vector {
	const kind = "table"
	table := func(p Profile, holders ...peer.ID) []byte {
		return SignTable(w.owner, vectorNetwork, w.group, p, holders)
	}
	good := w.table()
	small := peer.ID("\x00\x24\x08\x01\x12\x20\x01" + string(make([]byte, 31)))
	rsa := peer.ID("\x12\x20" + string(make([]byte, 32)))
	out := []vector{
		okVector("table/plain", kind, "peers 10 and 12 hold slots 0 and 2; slot 1 is vacant", good).
			with("slot0", w.ids[0]).with("slot2", w.ids[2]),
		badVector("table/renew-key", kind, "signed by the renew key", CodeDenied, signBody(w.renew, bodyOf(good))),
		badVector("table/damaged", kind, "one bit of the signature is wrong", CodeDenied, flipSignature(good)),
		badVector("table/other-group", kind, "of another group", CodeMalformed,
			SignTable(w.owner, vectorNetwork, GroupID{1}, Profile{1, 2, 3}, []peer.ID{w.ids[0], "", ""})),
		badVector("table/other-network", kind, "of another network", CodeNetwork,
			SignTable(w.owner, "other", w.group, Profile{1, 2, 3}, []peer.ID{w.ids[0], "", ""})),
		badVector("table/peer-twice", kind, "one peer in two slots", CodeMalformed, table(Profile{1, 2, 3}, w.ids[0], w.ids[0], "")),
		badVector("table/slots-missing", kind, "two slots for n 3", CodeMalformed, table(Profile{1, 2, 3}, w.ids[0], "")),
		badVector("table/profile", kind, "r over n", CodeMalformed, table(Profile{1, 4, 3}, w.ids[0], "", "")),
		badVector("table/small-order-peer", kind, "a peer ID whose key has small order", CodeMalformed, table(Profile{1, 2, 3}, small, "", "")),
		badVector("table/hashed-peer", kind, "a peer ID that holds no key", CodeMalformed, table(Profile{1, 2, 3}, rsa, "", "")),
	}
	return append(out, spoiltVectors(kind, bodyOf(good), w.owner)...)
}

// flipSignature spoils the signature of something signed, which follows a map's
// head, the key "sig" and the head of 64 bytes.
func flipSignature(b []byte) []byte {
	b = slices.Clone(b)
	b[1+4+2] ^= 1
	return b
}

func flipLast(b []byte) []byte {
	b = slices.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

func (w *world) grantVectors() []vector {
	id := PointerIDOf(PublicKeyOf(w.pointer))
	grant, del := w.grant(), SignDelete(w.owner, vectorNetwork, w.group, w.segment[:])
	list := pairsOf(bodyOf(grant))
	renewal := SignRenewal(w.renew, vectorNetwork, w.group, at)
	out := []vector{
		okVector("grant/segment", "grant", "the segment of all vectors, with its footprint", grant).with("segment", w.segment).with("bytes", w.desc.Footprint()),
		okVector("grant/pointer", "grant", "the pointer of seed 05, at n 3", SignGrant(w.owner, vectorNetwork, w.group, id[:], 3*PointerFootprint)).
			with("pointer", id).with("bytes", 3*PointerFootprint),
		badVector("grant/renew-key", "grant", "signed by the renew key", CodeDenied, signBody(w.renew, bodyOf(grant))),
		badVector("grant/other-group", "grant", "of another group", CodeMalformed, SignGrant(w.owner, vectorNetwork, GroupID{1}, id[:], 1)),
		badVector("grant/other-network", "grant", "of another network", CodeNetwork, SignGrant(w.owner, "other", w.group, id[:], 1)),
		badVector("grant/subject", "grant", "a subject of 17 bytes", CodeMalformed, SignGrant(w.owner, vectorNetwork, w.group, make([]byte, 17), 1)),
		badVector("grant/negative", "grant", "bytes below 0", CodeMalformed, SignGrant(w.owner, vectorNetwork, w.group, id[:], -1)),
		badVector("grant/2-53", "grant", "bytes of 2^53", CodeMalformed, SignGrant(w.owner, vectorNetwork, w.group, id[:], MaxInt+1)),
		badVector("grant/long-int", "grant", "v in two bytes", CodeMalformed, signBody(w.owner, mapOf(set(list, "v", 0x18, 1)...))),
		badVector("grant/version-2", "grant", "of a later version", CodeVersion, signBody(w.owner, mapOf(set(list, "v", 2)...))),
		badVector("grant/as-delete", "delete", "a grant where a delete belongs", CodeMalformed, grant),
		badVector("grant/short-signature", "grant", "a signature of 63 bytes", CodeMalformed,
			mustEncode(signed{bodyOf(grant), make([]byte, 63)})),
		okVector("delete/segment", "delete", "frees the segment of all vectors", del),
		badVector("delete/renew-key", "delete", "the renew key deletes nothing", CodeDenied, signBody(w.renew, bodyOf(del))),
		okVector("renewal/plain", "renewal", "the owner lived at that time", renewal).with("at", at.Unix()),
		badVector("renewal/owner-key", "renewal", "signed by the owner key", CodeDenied, signBody(w.owner, bodyOf(renewal))),
		badVector("renewal/negative", "renewal", "before 1970", CodeMalformed, SignRenewal(w.renew, vectorNetwork, w.group, time.Unix(-1, 0))),
	}
	return append(out, spoiltVectors("grant", bodyOf(grant), w.owner)...)
}

func (w *world) proofVectors() []vector {
	read := SignRead(w.read, vectorNetwork, w.segment, w.ids[0])
	list := SignList(w.owner, vectorNetwork, w.group, w.ids[0])
	return []vector{
		okVector("read-proof/plain", "read proof", "peer 10 may read the segment of all vectors", read),
		badVector("read-proof/other-reader", "read proof", "made for peer 11", CodeDenied, SignRead(w.read, vectorNetwork, w.segment, w.ids[1])),
		badVector("read-proof/other-segment", "read proof", "made for another segment", CodeDenied, SignRead(w.read, vectorNetwork, SegmentID{1}, w.ids[0])),
		badVector("read-proof/other-key", "read proof", "signed by the owner key", CodeDenied, signBody(w.owner, bodyOf(read))),
		badVector("read-proof/other-network", "read proof", "of another network", CodeNetwork, SignRead(w.read, "other", w.segment, w.ids[0])),
		okVector("group-proof/owner", "group proof", "peer 10 may see the group's lists", list),
		okVector("group-proof/renew", "group proof", "likewise, by the renew key", SignList(w.renew, vectorNetwork, w.group, w.ids[0])),
		badVector("group-proof/other-asker", "group proof", "made for peer 11", CodeDenied, SignList(w.owner, vectorNetwork, w.group, w.ids[1])),
		badVector("group-proof/read-key", "group proof", "signed by the read key", CodeDenied, signBody(w.read, bodyOf(list))),
	}
}

func (w *world) pointerVectors() []vector {
	const kind = "pointer"
	salt := [32]byte(bytes.Repeat([]byte{0x5a}, 32))
	payload := generated(PayloadSize)
	point := func(seq int64, payload []byte, until time.Time) []byte {
		return SignPointer(w.pointer, vectorNetwork, seq, salt, payload, until)
	}
	good := point(1, payload, time.Time{})
	small := bodyOf(point(1, nil, time.Time{}))
	forged := set(pairsOf(small), "key", append([]byte{0x58, 32, 1}, make([]byte, 31)...)...)
	out := []vector{
		okVector("pointer/plain", kind, "seq 1, for ever; the payload is generated bytes", good).with("pointer", PointerIDOf(PublicKeyOf(w.pointer))).with("seq", 1),
		okVector("pointer/tombstone", kind, "seq 2, revoked", point(2, nil, time.Time{})).with("seq", 2),
		okVector("pointer/until", kind, "seq 2^53-1, revoked, until a time", point(MaxInt, nil, at)).with("until", at.Unix()),
		badVector("pointer/payload-size", kind, "a payload of one byte less", CodeMalformed, point(1, payload[1:], time.Time{})),
		badVector("pointer/seq-2-53", kind, "seq of 2^53", CodeMalformed, point(MaxInt+1, nil, time.Time{})),
		badVector("pointer/seq-negative", kind, "seq below 0", CodeMalformed, point(-1, nil, time.Time{})),
		badVector("pointer/other-network", kind, "of another network", CodeNetwork, SignPointer(w.pointer, "other", 1, salt, nil, time.Time{})),
		badVector("pointer/other-key", kind, "signed by another key than it names", CodeDenied, signBody(w.owner, small)),
		badVector("pointer/small-order-key", kind, "under a key of small order any signature may fit", CodeDenied,
			mustEncode(signed{mapOf(forged...), append([]byte{1}, make([]byte, 63)...)})),
		badVector("pointer/damaged", kind, "one bit of the signature is wrong", CodeDenied, flipSignature(point(2, nil, time.Time{}))),
	}
	return append(out, spoiltVectors(kind, small, w.pointer)...)
}

func (w *world) envelopeVectors() []vector {
	const kind = "peer record"
	good := w.envelope(0)
	padded := append(slices.Clone(good), 0x98, 0x06, 0x00) // field 99, varint 0
	return []vector{
		okVector("peer-record/plain", kind, "peer 10 at /ip4/192.0.2.1/tcp/4401, seq 7", good).with("peer", w.ids[0]).with("seq", 7),
		badVector("peer-record/damaged", kind, "one bit of the signature is wrong", CodeMalformed, flipLast(good)),
		badVector("peer-record/unknown-field", kind, "a protobuf field that nobody signed", CodeMalformed, padded),
		badVector("peer-record/empty", kind, "no bytes", CodeMalformed, nil),
		badVector("peer-record/long", kind, "over 1 KiB", CodeMalformed, make([]byte, MaxEnvelope+1)),
	}
}
