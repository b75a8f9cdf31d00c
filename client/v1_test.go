package client_test

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/erasure"
)

// v1 reads what version 1 wrote: paragraphs of "field: value" (see
// protocol/testdata/README.md), by name, the bytes or the text of each.
func v1(t *testing.T) map[string][]byte {
	t.Helper()
	raw, err := os.ReadFile("../protocol/testdata/v1/file.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string][]byte)
	for _, para := range strings.Split(string(raw), "\n\n")[1:] {
		var name string
		for _, line := range strings.Split(strings.ReplaceAll(para, "\n  ", ""), "\n") {
			key, value, _ := strings.Cut(line, ": ")
			switch key {
			case "name":
				name = strings.TrimPrefix(value, "v1/")
			case "text":
				out[name] = []byte(value)
			case "hex":
				b, err := hex.DecodeString(value)
				if err != nil {
					t.Fatal(err)
				}
				out[name] = b
			}
		}
	}
	return out
}

// A link of version 1 must lead to its file for ever: link, pointer, target,
// manifest, content; with all data shards, and with as few of them as possible.
func TestVersion1LinkOpens(t *testing.T) {
	all := v1(t)
	link, err := protocol.ParseLink(string(all["link"]))
	if err != nil {
		t.Fatal(err)
	}
	pointer, err := protocol.OpenPointer("v1", all["pointer"])
	if err != nil || pointer.ID() != link.Pointer {
		t.Fatalf("pointer: %v", err)
	}
	payload, err := seal.OpenPayload(seal.Key(link.Read), pointer.Salt, pointer.Payload)
	if err != nil {
		t.Fatal(err)
	}
	target, err := protocol.ParseTarget(payload[:])
	if err != nil {
		t.Fatal(err)
	}
	for _, lost := range [][]int{nil, {0, 1, 2, 3}, {1, 2, 3, 5}} {
		m, err := protocol.ParseManifest(openV1(t, all, "manifest", target.Extent, lost))
		if err != nil {
			t.Fatal(err)
		}
		content := openV1(t, all, "content", m.Extents[0], lost)
		if string(content) != string(all["content"]) || m.Size != int64(len(content)) || m.Name != "Steinhaufen – cairn.txt" {
			t.Fatalf("%q of %d bytes: %q", m.Name, m.Size, content)
		}
	}
}

// openV1 opens an extent from the shards of its segment, some of them lost.
func openV1(t *testing.T, all map[string][]byte, what string, e protocol.Extent, lost []int) []byte {
	t.Helper()
	d, err := protocol.OpenDescriptor(all["descriptor-"+what], e.Segment)
	if err != nil {
		t.Fatal(err)
	}
	if protocol.PublicKeyOf(seal.ReadKey(seal.Key(e.Secret))) != d.ReadKey {
		t.Fatalf("the secret of the %s's segment does not give its read key", what)
	}
	shards, want := make([][]byte, d.N), make([]bool, d.N)
	for i := range shards {
		shards[i] = append([]byte(nil), all[what+"-shard-"+string('0'+rune(i))]...)
	}
	for _, i := range lost {
		shards[i] = nil
		want[i] = i < d.K
	}
	code, err := erasure.New(d.K, d.N)
	if err != nil {
		t.Fatal(err)
	}
	if err := code.Reconstruct(shards, want); err != nil {
		t.Fatal(err)
	}
	var segment []byte
	for _, s := range shards[:d.K] {
		segment = append(segment, s...)
	}
	plain, err := seal.Open(seal.Key(e.Key), nil, segment[e.Offset:e.Offset+e.Length])
	if err != nil {
		t.Fatalf("open the %s: %v", what, err)
	}
	return plain
}
