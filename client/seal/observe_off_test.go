//go:build !nonceaudit

package seal

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A build without the tag writes no audit and does not even contain auditEnv's name.
func TestNoAuditWithoutTag(t *testing.T) {
	name := "CAIRN_NONCE_" + strings.ToUpper("audit")
	audit := filepath.Join(t.TempDir(), "audit")
	t.Setenv(name, audit)
	if _, _, err := sealText(seeded(t), nil, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(audit); !os.IsNotExist(err) {
		t.Errorf("an audit was written: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(program, []byte(name)) {
		t.Error("the program holds the audit's name")
	}
}
