//go:build linux

package integration

import (
	"crypto/sha256"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// young is a network of two public nodes and a donor behind a NAT, with an
// owner behind another.
type young struct {
	*internet
	public [2]*donor
	hidden *donor
	boot   []string
}

func newYoung(t *testing.T, nat string, forwarded ...string) *young {
	t.Helper()
	t.Parallel()
	w := &young{internet: newInternet(t)}
	w.host("first")
	w.host("second")
	w.home("donor", nat)
	w.home("owner", nat)
	for _, p := range forwarded {
		w.forward(p)
	}
	w.public[0] = w.donor("first")
	w.public[1] = w.donor("second", w.public[0])
	w.hidden = w.donor("donor", w.public[0])
	w.boot = []string{"--bootstrap", w.public[0].Addrs[0]}
	return w
}

// owner runs a command of the owner.
func (w *young) owner(result any, stdin string, args ...string) {
	w.t.Helper()
	w.ok("owner", filepath.Join(w.dir, "owner"), result, stdin, append(args, w.boot...)...)
}

// awaitRelayed waits until the hidden donor knows that it is, and has relays.
func (w *young) awaitRelayed() {
	w.t.Helper()
	w.await("the donor finds that nobody can dial it, and relays", 2*patience, func() bool {
		s := w.hidden.status()
		return s.Reachable == "private" && len(s.Relays) > 0
	})
}

// store waits until the owner sees all three nodes, puts a file of which two of
// three shards are needed, shows that the hidden donor has one, and fetches the
// file when only that donor and one other live.
func (w *young) store() {
	w.t.Helper()
	w.await("the owner counts three nodes", patience, func() bool {
		var seen networkResult
		w.owner(&seen, "", "network")
		return seen.Nodes == 3
	})
	path, sum := w.file("file", 5<<20)
	var put putResult
	w.owner(&put, "", "put", path, "--profile", "2/3/3")
	if put.Stored != 3 {
		w.t.Fatalf("stored %d of 3", put.Stored)
	}
	var health healthResult
	w.owner(&health, put.Link+"\n", "health", "-")
	if !slices.ContainsFunc(health.Holders, func(h healthHolder) bool {
		return h.Peer == w.hidden.Peer && h.Proved
	}) {
		w.t.Fatalf("the hidden donor proves no shard: %+v", health.Holders)
	}
	before := w.hidden.status().Traffic
	w.public[1].stop()
	back := w.run("owner", filepath.Join(w.dir, "reader"), put.Link+"\n", append([]string{"cat", "-"}, w.boot...)...)
	if sha256.Sum256(back) != sum {
		w.t.Fatalf("%d bytes came back, and they are others", len(back))
	}
	if after := w.hidden.status().Traffic; before.Puts == 0 || after.Gets <= before.Gets {
		w.t.Fatalf("the hidden donor took no part: %+v, then %+v", before, after)
	}
}

// TestNATPunched: owner and donor sit behind NATs of the usual kind. The donor
// is counted, chosen and useful, over a direct connection.
func TestNATPunched(t *testing.T) {
	w := newYoung(t, portRestricted)
	w.awaitRelayed()
	w.store()
	w.await("a hole is punched", 10*time.Second, func() bool { return w.hidden.status().Punched > 0 })
}

// TestNATSymmetric: no hole can be punched between these NATs, and the relays
// carry the shards. A doctor tells the donor which port to open, as long as it
// has relays and when it has none.
func TestNATSymmetric(t *testing.T) {
	w := newYoung(t, symmetric)
	w.awaitRelayed()
	w.store()
	if n := w.hidden.status().Punched; n != 0 {
		t.Errorf("%d holes punched through a NAT that allows none", n)
	}
	if n := w.public[0].status().Carried; n < 2<<20 {
		t.Errorf("the relay that was left carried %d bytes: not even the shard that was fetched", n)
	}
	w.await("the donor does without the relay that stopped", time.Minute, func() bool {
		return slices.Equal(w.hidden.status().Relays, []string{w.public[0].Peer})
	})
	d := w.hidden.doctor("port closed, one relay")
	d.found(t, "reach", "warn", "by 1 relay only")
	d.mends(t, "reach", "forward port 4401, TCP and UDP")
	w.public[0].stop()
	w.await("the donor has no relay", time.Minute, func() bool { return len(w.hidden.status().Relays) == 0 })
	d = w.hidden.doctor("port closed, no relay")
	d.found(t, "port", "ok", "4401")
	d.found(t, "reach", "bad", "others cannot dial this node")
	d.mends(t, "reach", "forward port 4401, TCP and UDP")
	d.found(t, "network", "bad", "nobody answers")
}

// TestNATForwarded: a donor behind a router that forwards its port turns out to
// be reachable, at the router's address, without being told so.
func TestNATForwarded(t *testing.T) {
	w := newYoung(t, portRestricted, "donor")
	w.await("the donor finds that others can dial it", 2*patience, func() bool {
		s := w.hidden.status()
		return s.Reachable == "public" && len(s.Relays) == 0 && strings.HasPrefix(s.Addrs[0], "/ip4/20.3.1.1/tcp/4401/")
	})
	d := w.hidden.doctor("all well")
	d.found(t, "reach", "ok", "others can dial this node")
	if !d.OK {
		t.Errorf("something is bad: %+v", d)
	}
	w.store()
}
