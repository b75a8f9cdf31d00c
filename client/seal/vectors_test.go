package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors anew instead of comparing them")

// golden compares the vectors in testdata with what the code makes of their
// inputs. Vectors once released never change: a new format has a new file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s: the code now makes other bytes:\n%s", path, text)
	}
}

// writer collects cases.
type writer struct{ strings.Builder }

func (w *writer) field(name string, value any) {
	if b, ok := value.([]byte); ok {
		value = hex.EncodeToString(b)
	}
	fmt.Fprintf(w, "%s: %v\n", name, value)
}

func (w *writer) end() { w.WriteByte('\n') }

func public(k ed25519.PrivateKey) []byte { return k.Public().(ed25519.PublicKey) }

func TestDeriveVectors(t *testing.T) {
	var w writer
	w.WriteString("# Derived keys (SPEC.md, Keys and sealing). Signing keys are given by their public halves.\n\n")
	nonce := [16]byte(bytes.Repeat([]byte{0xa5}, 16))
	for _, c := range []struct {
		from       byte
		generation uint32
	}{{0, 0}, {0, 1}, {0x80, 0x01020304}} {
		m, secret := Master(counting(c.from)), counting(c.from+64)
		b, commitment := m.Bundle(c.generation), m.RecoveryCommitment()
		salt := [SaltSize]byte(counting(c.from + 96))
		payload, cipherKey, extent := PayloadKey(secret, salt), derive(secret, nil, forCipher), commitmentOf(secret)
		w.field("master", m[:])
		w.field("generation", c.generation)
		w.field("nonce", nonce[:])
		w.field("secret", secret[:])
		w.field("salt", salt[:])
		w.field("recovery-public", public(m.Recovery()))
		w.field("recovery-commitment", commitment[:])
		w.field("drive-read", b.DriveRead[:])
		w.field("head", b.Head[:])
		w.field("group-root", b.GroupRoot[:])
		w.field("owner-public", public(b.OwnerKey(nonce)))
		w.field("renew-public", public(b.RenewKey(nonce)))
		w.field("read-public", public(ReadKey(secret)))
		w.field("pointer-public", public(PointerKey(secret)))
		w.field("payload", payload[:])
		w.field("commitment", extent[:])
		w.field("cipher", cipherKey[:])
		w.end()
	}
	golden(t, "derive.txt", w.String())
}

func TestExtentVectors(t *testing.T) {
	var w writer
	w.WriteString("# Extents (SPEC.md, Keys and sealing). Byte i of the plain text is i mod 251.\n\n")
	for i, c := range sizes {
		key := counting(byte(16 * i))
		b := sealed(t, key, pattern(c.plain))
		w.field("key", key[:])
		w.field("plain-length", c.plain)
		w.field("sealed-length", len(b))
		if len(b) <= 100 {
			w.field("sealed", b)
		} else {
			sum := sha256.Sum256(b)
			w.field("sealed-sha256", sum[:])
		}
		w.field("expect", "ok")
		w.end()
	}
	key := counting(0)
	good := sealed(t, key, pattern(20))
	for _, at := range []int{0, CommitmentSize, len(good) - 1} {
		bad := bytes.Clone(good)
		bad[at] ^= 0x80
		w.field("key", key[:])
		w.field("sealed", bad)
		w.field("expect", "refuse")
		w.end()
	}
	w.field("key", key[:])
	w.field("sealed", good[:CommitmentSize+Overhead])
	w.field("expect", "refuse")
	golden(t, "extents.txt", w.String())
}

func TestPayloadVectors(t *testing.T) {
	var w writer
	w.WriteString("# Payloads of pointers (SPEC.md, Keys and sealing). Byte i of the plain text is i mod 251.\n\n")
	read, drawn := counting(1), counting(0x40)
	salt, b, err := SealPayload(bytes.NewReader(drawn[:]), read, (*[PayloadPlain]byte)(pattern(PayloadPlain)))
	if err != nil {
		t.Fatal(err)
	}
	for _, expect := range []string{"ok", "refuse"} {
		w.field("read-secret", read[:])
		w.field("salt", salt[:])
		w.field("sealed", b)
		w.field("expect", expect)
		w.end()
		salt[31] ^= 1
	}
	golden(t, "payloads.txt", w.String())
}

func TestFileVectors(t *testing.T) {
	var w writer
	w.WriteString("# Local files under a passphrase (SPEC.md, Keys and sealing).\n\n")
	drawn := pattern(int64(fileHeader - fileSalt))
	for i, c := range []struct{ passphrase, plain string }{
		{"correct horse battery staple", "the quick brown fox"},
		{"Äpfel und Öl", ""},
	} {
		b, err := SealFile(bytes.NewReader(drawn), []byte(c.passphrase), []byte(c.plain), MinFileMemory+i)
		if err != nil {
			t.Fatal(err)
		}
		w.field("passphrase", []byte(c.passphrase))
		w.field("plain", []byte(c.plain))
		w.field("sealed", b)
		w.field("expect", "ok")
		w.end()
		b[len(fileMagic)+1] ^= 0x80 // 193 MiB: allowed, but not what it was sealed with
		if i == 0 {
			b[len(fileMagic)+1] = MinFileMemory - 1
		}
		w.field("passphrase", []byte(c.passphrase))
		w.field("sealed", b)
		w.field("expect", "refuse")
		w.end()
	}
	golden(t, "files.txt", w.String())
}

// The committed vectors open, read as another implementation would read them.
func TestCommittedVectorsOpen(t *testing.T) {
	for _, c := range cases(t, "extents.txt") {
		b := c.bytes("sealed")
		if b == nil {
			b = sealed(t, Key(c.bytes("key")), pattern(c.number("plain-length")))
			if sum := sha256.Sum256(b); !bytes.Equal(sum[:], c.bytes("sealed-sha256")) {
				t.Errorf("extent of %d plain bytes has another hash", c.number("plain-length"))
			}
		}
		got, err := Open(Key(c.bytes("key")), nil, b)
		c.check(got, pattern(c.number("plain-length")), err)
	}
	for _, c := range cases(t, "payloads.txt") {
		got, err := OpenPayload(Key(c.bytes("read-secret")), [SaltSize]byte(c.bytes("salt")), c.bytes("sealed"))
		if err != nil {
			got = new([PayloadPlain]byte)
		}
		c.check(got[:], pattern(PayloadPlain), err)
	}
	for _, c := range cases(t, "files.txt") {
		got, err := OpenFile(c.bytes("passphrase"), c.bytes("sealed"))
		c.check(got, c.bytes("plain"), err)
	}
}

// vector is one case of a file of vectors.
type vector struct {
	t      *testing.T
	name   string
	fields map[string]string
}

func cases(t *testing.T, name string) (out []vector) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		v := vector{t, fmt.Sprintf("%s, case %d", name, i), map[string]string{}}
		for line := range strings.Lines(block) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && key[0] != '#' {
				v.fields[key] = strings.TrimSpace(value)
			}
		}
		if len(v.fields) > 0 {
			out = append(out, v)
		}
	}
	return out
}

func (v vector) bytes(name string) []byte {
	text, ok := v.fields[name]
	if !ok {
		return nil
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		v.t.Fatalf("%s: %s: %v", v.name, name, err)
	}
	return b
}

func (v vector) number(name string) int64 {
	if v.fields[name] == "" {
		return 0
	}
	n, err := strconv.ParseInt(v.fields[name], 10, 64)
	if err != nil {
		v.t.Fatalf("%s: %s: %v", v.name, name, err)
	}
	return n
}

func (v vector) check(got, want []byte, err error) {
	v.t.Helper()
	switch v.fields["expect"] {
	case "ok":
		if err != nil || !bytes.Equal(got, want) {
			v.t.Errorf("%s: %d bytes, %v; want %d", v.name, len(got), err, len(want))
		}
	case "refuse":
		if err != ErrOpen {
			v.t.Errorf("%s: %v; want it refused", v.name, err)
		}
	default:
		v.t.Errorf("%s: expect: %q", v.name, v.fields["expect"])
	}
}
