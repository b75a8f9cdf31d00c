package client

import (
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// A home whose secret is gone gets no new one while its journal names groups that
// only the old one can use.
func TestSecretGone(t *testing.T) {
	dir := t.TempDir()
	open := func() (*Owner, error) { return OpenOwner(dir, nil) }
	o, err := open()
	if err != nil || !o.Created() {
		t.Fatalf("first: %v", err)
	}
	groupIn(t, o, "n")
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
	if l, err := ReadListing(dir); err != nil || l.Unfit == nil || !strings.Contains(l.Unfit.Error(), secret) {
		t.Errorf("listed without its secret: %+v, %v", l, err)
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

// Another owner's secret next to a journal with groups is refused by an error that
// names it, and not only later by members that do not know its keys.
func TestSecretOfAnother(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		o, err := OpenOwner(d, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d == dir {
			groupIn(t, o, "n")
			groupIn(t, o, "n")
			if err := o.finishPut(putID{1}, protocol.PointerID{2}, &uploadState{Name: "a", Size: 3}); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(dir, secretFile)
	own, err := os.ReadFile(secret)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(filepath.Join(other, secretFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret, theirs, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOwner(dir, nil); err == nil || !strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("with another owner's secret: %v", err)
	}
	l, err := ReadListing(dir)
	if err != nil || len(l.Uploads) != 1 || l.Uploads[0].Link.Pointer != (protocol.PointerID{2}) || l.Unfit == nil || !strings.Contains(l.Unfit.Error(), "backup") {
		t.Errorf("the list, which needs no secret: %+v, %v", l, err)
	}
	if err := os.WriteFile(secret, own, 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := OpenOwner(dir, nil)
	if err != nil {
		t.Fatalf("with its own again: %v", err)
	}
	_ = o.Close()
	if l, err := ReadListing(dir); err != nil || len(l.Uploads) != 1 || l.Unfit != nil {
		t.Errorf("the list, with its own again: %+v, %v", l, err)
	}
}

// A home with a secret and no journal is not an unused one: ReopenOwner says so each
// time, and OpenOwner, for a put, begins a new journal.
func TestJournalGone(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"gone":  os.Remove,
		"empty": func(path string) error { return os.Truncate(path, 0) },
	} {
		dir := t.TempDir()
		if _, err := ReopenOwner(dir, nil); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNoJournal) {
			t.Errorf("nothing there: %v", err)
		}
		if l, err := ReadListing(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("nothing there to list: %+v, %v", l, err)
		}
		o, err := OpenOwner(dir, nil)
		if err != nil || o.JournalLost() {
			t.Fatalf("first use: lost %t, %v", err == nil, err)
		}
		groupIn(t, o, "n")
		_ = o.Close()
		if o, err = ReopenOwner(dir, nil); err != nil || o.JournalLost() {
			t.Fatalf("as it should be: %v", err)
		}
		_ = o.Close()
		path := filepath.Join(dir, journalFile)
		if err := lose(path); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := ReopenOwner(dir, nil); !errors.Is(err, ErrNoJournal) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", name, err)
			}
		}
		o, err = OpenOwner(dir, nil)
		if err != nil || !o.JournalLost() || o.Created() {
			t.Errorf("%s: put goes on: %v", name, err)
		}
		_ = o.Close()
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

// TestJournalWithoutSums: what an older program wrote of a safe segment is read, and
// its source is sent anew.
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
