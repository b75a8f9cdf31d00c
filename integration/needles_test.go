//go:build unix

package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// needles are what must not be found, by name and in every form in which they
// could have been written.
type needles map[string][]byte

// add adds a secret, raw, in hexadecimal, in base64 at each of the three
// alignments, and as Go prints slices of bytes.
func (n needles) add(name string, secret []byte) {
	const run = 12 // bytes: enough that chance writes none
	part := secret[:run]
	n[name+" raw"] = part
	n[name+" hex"] = []byte(hex.EncodeToString(part))
	n[name+" HEX"] = bytes.ToUpper(n[name+" hex"])
	list := strings.Trim(fmt.Sprint(part), "[]")
	n[name+" list"] = []byte(list)
	n[name+" commas"] = []byte(strings.ReplaceAll(list, " ", ","))
	n[name+" Go"] = []byte(strings.Trim(fmt.Sprintf("%#v", part)[len("[]byte"):], "{}"))
	for shift := range 3 {
		aligned := secret[shift : shift+run]
		n[fmt.Sprintf("%s base64 %d", name, shift)] = []byte(base64.RawStdEncoding.EncodeToString(aligned))
		n[fmt.Sprintf("%s base64url %d", name, shift)] = []byte(base64.RawURLEncoding.EncodeToString(aligned))
	}
}

// in returns the names of the needles that are in a text.
func (n needles) in(text []byte) (found []string) {
	for name, b := range n {
		if bytes.Contains(text, b) {
			found = append(found, name)
		}
	}
	return found
}

// search complains of needles in a text.
func (n needles) search(t *testing.T, where string, text []byte) {
	t.Helper()
	for _, name := range n.in(text) {
		t.Errorf("%s holds the %s", where, name)
	}
}

// searchTree complains of needles in the names and contents of files, and
// returns how many bytes it has read.
func (n needles) searchTree(t *testing.T, root string) (read int64) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(filepath.Dir(root), path)
		if err != nil {
			return err
		}
		n.search(t, "the name "+rel, []byte(rel))
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		read += int64(len(b))
		n.search(t, rel, b)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return read
}

// TestNeedles shows that the search finds what it is there for.
func TestNeedles(t *testing.T) {
	secret := []byte("\xfe\x01\x80secret of more than 32 bytes\xff\x00\x07")
	n := make(needles)
	n.add("s", secret)
	for _, text := range []string{
		"x" + string(secret) + "y",
		fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprint(secret), strings.ReplaceAll(fmt.Sprint(secret), " ", ","), fmt.Sprintf("%#v", [32]byte(secret[:32])),
		base64.StdEncoding.EncodeToString(secret),
		base64.URLEncoding.EncodeToString(append([]byte("a"), secret...)),
		base64.StdEncoding.EncodeToString(append([]byte("ab"), secret...)),
	} {
		if len(n.in([]byte(text))) == 0 {
			t.Errorf("not found in %q", text)
		}
	}
	if found := n.in([]byte("nothing of it is here")); len(found) > 0 {
		t.Errorf("found %v where nothing is", found)
	}
}
