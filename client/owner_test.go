package client

import (
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// A home whose secret is gone gets no other one while its journal names groups
// that only the old one can use.
func TestSecretGone(t *testing.T) {
	dir := t.TempDir()
	open := func() (*Owner, error) { return OpenOwner(dir, nil) }
	o, err := open()
	if err != nil || !o.Created() {
		t.Fatalf("first: %v", err)
	}
	if err := o.saveGroup(&groupState{Nonce: protocol.Nonce{1}, Envelopes: [][]byte{}}); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, secretFile)
	if err := os.Rename(secret, secret+".away"); err != nil {
		t.Fatal(err)
	}
	if o, err := open(); err == nil {
		t.Fatalf("opened without its secret, made one: %v", o.Created())
	}
	if _, err := os.Stat(secret); err == nil {
		t.Fatal("another secret was made")
	}
	if err := os.Rename(secret+".away", secret); err != nil {
		t.Fatal(err)
	}
	if o, err = open(); err != nil || o.Created() {
		t.Fatalf("with its secret back: %v", err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

// A group takes nothing more once any of its limits is reached: holders would
// refuse it.
func TestGroupHasRoom(t *testing.T) {
	p := protocol.Profile{K: 2, R: 4, N: 6}
	for name, s := range map[string]groupState{
		"closed":   {Closed: true},
		"segments": {Segments: group.MaxSegments},
		"bytes":    {Bytes: group.MaxBytes(p)},
		"pointers": {Pointers: protocol.MaxGroupPointers},
	} {
		if (&ownGroup{profile: p, state: &s}).hasRoom() {
			t.Errorf("%s: has room", name)
		}
	}
	if !(&ownGroup{profile: p, state: &groupState{Segments: 7}}).hasRoom() {
		t.Error("a fresh group has none")
	}
}

// TestJournalWithoutSums: what a program of before wrote of a safe segment is read,
// and its source is sent anew.
func TestJournalWithoutSums(t *testing.T) {
	old := struct {
		Extent     protocol.Extent `cbor:"extent"`
		Descriptor []byte          `cbor:"descriptor"`
		Acked      []bool          `cbor:"acked"`
	}{protocol.Extent{Segment: protocol.SegmentID{1}, Length: 100}, []byte("descriptor"), []bool{true}}
	b, err := protocol.Encode(&old)
	if err != nil {
		t.Fatal(err)
	}
	var s safeState
	if err := protocol.Decode("safe segment", b, &s); err != nil || s.Extent != old.Extent {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, sum := range []uint32{s.Sum, 1, crc32.Checksum([]byte("source"), sumTable)} {
		src := strings.NewReader("source")
		whole := &exactReader{r: src, size: 6}
		pl, err := compare(src, whole, &placement{sum: sum}, 6)
		same := sum > 1
		if err != nil || (pl != nil) != same || same != (whole.n == 6) || same != (src.Len() == 0) {
			t.Errorf("sum %d: taken for the same: %v, %d read, %d left, %v", sum, pl != nil, whole.n, src.Len(), err)
		}
	}
}
