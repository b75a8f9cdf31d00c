package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLabelsAreUnique(t *testing.T) {
	seen := map[string]purpose{}
	for p, label := range labels {
		name, ok := strings.CutPrefix(label, labelPrefix)
		if !ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("label %d: %q is not %q and a name", p, label, labelPrefix)
		}
		if other, dup := seen[label]; dup {
			t.Errorf("purposes %d and %d share the label %q", other, p, label)
		}
		seen[label] = purpose(p)
	}
}

// Every key that can be derived differs from every other, from equal secrets.
func TestKeysDiffer(t *testing.T) {
	m, k := Master(counting(0)), counting(0)
	keys := map[string]string{}
	add := func(name string, b []byte) {
		if other, dup := keys[string(b)]; dup {
			t.Errorf("%s and %s are one key", name, other)
		}
		keys[string(b)] = name
	}
	add("secret", k[:])
	add("recovery", m.Recovery().Seed())
	for _, generation := range []uint32{0, 1, 1 << 24} {
		b := m.Bundle(generation)
		add("drive read", b.DriveRead[:])
		add("head", b.Head[:])
		add("group root", b.GroupRoot[:])
		for _, nonce := range [][16]byte{{}, {15: 1}, {0: 1}} {
			add("owner", b.OwnerKey(nonce).Seed())
			add("renew", b.RenewKey(nonce).Seed())
		}
	}
	add("read", ReadKey(k).Seed())
	add("pointer", PointerKey(k).Seed())
	for _, salt := range [][SaltSize]byte{{}, {31: 1}} {
		p := PayloadKey(k, salt)
		add("payload", p[:])
	}
	c, a := commitmentOf(k), derive(k, nil, forCipher)
	add("commitment", c[:])
	add("cipher", a[:])
}

func TestRecoveryCommitment(t *testing.T) {
	m := Master(counting(7))
	public := m.Recovery().Public().(ed25519.PublicKey)
	if want := sha256.Sum256(public); m.RecoveryCommitment() != want {
		t.Fatal("not the SHA-256 of the recovery public key")
	}
}

func TestNewMaster(t *testing.T) {
	m, err := NewMaster(bytes.NewReader(pattern(KeySize)))
	if err != nil || !bytes.Equal(m[:], pattern(KeySize)) {
		t.Fatalf("not the bytes read: %v", err)
	}
	if m, err = NewMaster(bytes.NewReader(pattern(KeySize - 1))); err == nil || m != (Master{}) {
		t.Fatal("a short source gave a master secret")
	}
	cause := errors.New("no entropy")
	if _, err = NewMaster(iotest.ErrReader(cause)); !errors.Is(err, cause) {
		t.Fatalf("%v does not wrap the cause", err)
	}
}
