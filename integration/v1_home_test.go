//go:build unix

package integration

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

// v1Home is the whole home of one person as the first version left it: a node
// that keeps shards, an owner who has put a file, what was joined and set. It
// has no VERSION, and its settings name its folder as HOME.
const v1Home = v1 + "/home"

// TestVersion1HomeStillOpens starts a node on that home, and as its owner
// lists, gets, proves and puts.
func TestVersion1HomeStillOpens(t *testing.T) {
	w := newTown(t, 0, launch.Config{Network: "friends"})
	p := w.stranger("v1")
	w.must(os.CopyFS(p.home, os.DirFS(v1Home)))
	settings := filepath.Join(p.home, "node", "settings.toml")
	text, err := os.ReadFile(settings)
	w.must(err)
	w.must(os.WriteFile(settings, bytes.ReplaceAll(text, []byte("HOME"), []byte(p.home)), 0o600))
	for _, secret := range []string{"node/key", "owner/secret"} { // git does not keep their modes
		w.must(os.Chmod(filepath.Join(p.home, secret), 0o600))
	}
	link, err := os.ReadFile(v1 + "/home-link")
	w.must(err)
	content, err := os.ReadFile(v1 + "/home-content")
	w.must(err)

	node := p.start(nil, "node", "--listen", "/ip4/127.0.0.1/tcp/0")
	var st struct {
		Peer, Network string
		Shards        int
	}
	w.await("the node of version 1 serves", func() bool {
		return !node.running() || contains(p.run("", "node", "status", "--json").Stdout, "peer")
	})
	p.ok(&st, "", "node", "status")
	if st.Peer != "12D3KooWAcAAaGsiJWJLiHfwehzTybXDEryXxsm5kVnCkFQ9Whkf" || st.Network != "friends" || st.Shards != 2 {
		t.Errorf("the node is %+v: %s", st, node.log.String())
	}
	var list struct {
		Uploads []struct{ Name, Link string }
	}
	p.ok(&list, "", "uploads", "--links")
	if len(list.Uploads) != 1 || list.Uploads[0].Link != strings.TrimSpace(string(link)) {
		t.Errorf("uploads: %+v", list)
	}
	p.get(strings.TrimSpace(string(link)), sha256.Sum256(content))
	if h, _ := p.holders(strings.TrimSpace(string(link))); h.Reachable != 1 {
		t.Errorf("health: %+v", h)
	}
	path, sum := w.file("more", 1<<20)
	p.get(p.put(path).Link, sum)
	if v, err := os.ReadFile(filepath.Join(p.home, "VERSION")); err != nil || string(v) != "1\n" {
		t.Errorf("VERSION says %q, %v", v, err)
	}
}
