package protocol

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

const nameHead = `
Names and digests that are computed: SPEC.md, "Names", "Facts", "Have", "Finding". "of" tells what of; the bytes are the
result.`

func nameVectors(w *world) (string, []vector) {
	var list []vector
	for _, of := range sortedKeys(names(w)) {
		list = append(list, okVector("name/"+dashed(of), "name", of, names(w)[of]))
	}
	return nameHead, list
}

// names computes each name in the vectors, by the kind of thing that it names.
func names(w *world) map[string][]byte {
	fact := Fact{Kind: FactGrant, Bytes: w.grant()}
	id := fact.ID()
	pointer := PointerIDOf(PublicKeyOf(w.pointer))
	prefix := w.group.Prefix()
	digests := Digests([]Hash{{1, 2}, {0, 9}, {1, 1}})
	return map[string][]byte{
		"fact grant/segment":              id[:],
		"pointer of seed 05":              pointer[:],
		"segment descriptor/plain":        w.segment[:],
		"segment cid descriptor/plain":    w.segment.CID().Bytes(),
		"group group-record/plain":        w.group[:],
		"provider key of the group":       findKey(prefix),
		"digests 0102.. 0009.. 0101..":    digests[:3*32],
		"generator first 40 bytes":        generated(40),
		"peer 10":                         []byte(w.ids[0]),
		"stream protocol of the network":  []byte(StreamProtocol(vectorNetwork, Version)),
		"signed input of body 0a0b":       signInput([]byte{0x0a, 0x0b}),
		"sizes of shards":                 []byte(shardSizes()),
		"sizes of outboards":              []byte(outboardSizes()),
		"footprint of descriptor/plain":   fmt.Append(nil, w.desc.Footprint()),
		"segment size at k 1 4 16 20 128": fmt.Append(nil, SegmentSize(1), SegmentSize(4), SegmentSize(16), SegmentSize(20), SegmentSize(128)),
	}
}

func shardSizes() string {
	var out []string
	for _, c := range []struct {
		size int64
		k    int
	}{{1, 1}, {64, 1}, {65, 1}, {65, 2}, {256, 4}, {257, 4}, {MaxSegment, 20}, {4 << 20, 1}} {
		out = append(out, fmt.Sprintf("%d/%d=%d", c.size, c.k, ShardSize(c.size, c.k)))
	}
	return strings.Join(out, " ")
}

func outboardSizes() string {
	var out []string
	for _, n := range []int64{64, LeafSize, LeafSize + 64, MaxShardSize} {
		out = append(out, fmt.Sprintf("%d=%d", n, OutboardSize(n)))
	}
	return strings.Join(out, " ")
}

func checkName(t *testing.T, v vector) {
	if got := names(newWorld(t))[v.about]; !bytes.Equal(got, v.bytes) {
		t.Errorf("%s is %s", v.about, hex.EncodeToString(got))
	}
}
