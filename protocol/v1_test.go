package protocol

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

// The digest of testdata/v1/file.txt: what version 1 wrote must not change.
const v1Digest = "8bb5748ffae7ad61c8c7ac138669862772ef329cd20ac098e076003d980cff04"

const v1File = "testdata/v1/file.txt"

// v1 is what version 1 wrote, by name.
func v1(t *testing.T) map[string]vector {
	t.Helper()
	raw, err := os.ReadFile(v1File)
	if err != nil {
		t.Fatal(err)
	}
	if got := Sum(raw).String(); got != v1Digest {
		t.Fatalf("%s hashes to %s: it must never change", v1File, got)
	}
	out := make(map[string]vector)
	for _, v := range readVectors(t, v1File) {
		out[strings.TrimPrefix(v.name, "v1/")] = v
	}
	return out
}

// Every record that version 1 wrote must open for ever and fit the link. Package
// client tests that its sealed bytes open, too.
func TestVersion1Opens(t *testing.T) {
	all := v1(t)
	link, err := ParseLink(all["link"].text)
	if err != nil {
		t.Fatal(err)
	}
	hinted, err := ParseLink(all["link-hints"].text)
	if err != nil || hinted.Read != link.Read || len(hinted.Hints) != MaxLinkHints {
		t.Fatalf("link with hints: %v", err)
	}
	if i, err := ParseInvitation(all["invitation"].text); err != nil || len(i.Addrs) != 2 {
		t.Fatalf("invitation: %v", err)
	}
	record, group, err := ParseGroupRecord("v1", all["group-record"].bytes)
	if err != nil || group.Prefix() != link.Home {
		t.Fatalf("group record: %v", err)
	}
	kinds := map[string]FactKind{"group record": FactRecord, "table": FactTable, "peer record": FactEnvelope,
		"grant": FactGrant, "delete": FactDelete, "renewal": FactRenewal, "pointer": FactPointer}
	opened := 0
	for name, v := range all {
		kind, ok := kinds[v.kind]
		if !ok {
			continue
		}
		opened++
		o, err := OpenFact(record, group, Fact{kind, v.bytes})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if o.Pointer != nil && o.Pointer.ID() != link.Pointer {
			t.Errorf("pointer %s, where the link names %s", o.Pointer.ID(), link.Pointer)
		}
	}
	if opened != 14 {
		t.Errorf("%d facts", opened)
	}
	for _, what := range []string{"content", "manifest"} {
		checkV1Segment(t, all, what)
	}
	checkV1Proofs(t, all, record, group)
}

func checkV1Segment(t *testing.T, all map[string]vector, what string) {
	t.Helper()
	v := all["descriptor-"+what]
	id, err := ParseSegmentID(v.value(t, "segment"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDescriptor(v.bytes, id)
	if err != nil {
		t.Fatalf("descriptor of the %s: %v", what, err)
	}
	var data []byte
	for slot, root := range d.Roots {
		s := all[what+"-shard-"+string('0'+rune(slot))].bytes
		if int64(len(s)) != d.ShardSize || Sum(s) != root {
			t.Errorf("shard %d of the %s is not what its descriptor says", slot, what)
		}
		if slot < d.K {
			data = append(data, s...)
		}
	}
	for slot, s := range codeByTheNorm(d.K, d.N, data[:d.Size]) {
		if Sum(s) != d.Roots[slot] {
			t.Errorf("shard %d of the %s is coded otherwise", slot, what)
		}
	}
	if len(bytes.Trim(data[d.Size:], "\x00")) != 0 {
		t.Errorf("the %s is not zero-filled", what)
	}
}

func checkV1Proofs(t *testing.T, all map[string]vector, r *GroupRecord, g GroupID) {
	t.Helper()
	read, list := all["read-proof"], all["group-proof"]
	id, err := ParseSegmentID(read.value(t, "segment"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDescriptor(all["descriptor-content"].bytes, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckRead("v1", id, d, peerOf(t, read), read.bytes); err != nil {
		t.Error(err)
	}
	if err := CheckList(r, g, peerOf(t, list), list.bytes); err != nil {
		t.Error(err)
	}
}

func peerOf(t *testing.T, v vector) peer.ID {
	t.Helper()
	id, err := peer.Decode(v.value(t, "peer"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}
