//go:build nonceaudit

package seal

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each seal leaves its line, in order, before anything is sealed in place.
func TestAudit(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit")
	t.Setenv(auditEnv, audit)
	plain := pattern(PartSize + 5)
	key, _, err := sealText(seeded(t), nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := SealPayload(seeded(t), key, (*[PayloadPlain]byte)(pattern(PayloadPlain))); err != nil {
		t.Fatal(err)
	}
	if _, err := sealFile(seeded(t), []byte("file"), MinFileMemory, quick("p")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(got), "\n")
	if len(lines) != 5 || lines[4] != "" {
		t.Fatalf("%d lines, want 4:\n%s", len(lines)-1, got)
	}
	want := fmt.Sprintf("%x 0 %x\n%x 1 %x\n", sha256.Sum256(key[:]), sha256.Sum256(plain[:PartSize]),
		sha256.Sum256(key[:]), sha256.Sum256(plain[PartSize:]))
	if lines[0]+lines[1] != want {
		t.Errorf("%s\nwant\n%s", lines[0]+lines[1], want)
	}
	if secret := key[:]; bytes.Contains(got, []byte(fmt.Sprintf("%x", secret))) {
		t.Error("the audit holds a key")
	}
}

// An audit that cannot be written stops the sealing: a gap would prove nothing.
func TestAuditFailureStopsSealing(t *testing.T) {
	t.Setenv(auditEnv, t.TempDir())
	if _, b, err := sealText(seeded(t), nil, []byte("x")); err == nil || b != nil {
		t.Fatal("sealed without an audit")
	}
}
