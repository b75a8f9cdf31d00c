package client

import (
	"os"
	"path/filepath"
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
