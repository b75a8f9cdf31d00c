//go:build unix

package integration

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/node"
)

// brisk is a network whose nodes live through a day in 35 s.
var brisk = []string{"--time-scale", "0.0004", "--log-level", "info"}

// TestRotIsMended flips bytes on the disks of two holders while they run. One
// loses every leaf, which an auditor finds; the other a single byte of each shard,
// which its own scrubbing finds. Both say so, make their shards again from the
// others' and afterwards prove them to everybody.
func TestRotIsMended(t *testing.T) {
	slow(t)
	w := newTown(t, 12, launch.Config{NodeArgs: brisk})
	audited := w.addNodes(1, "--metrics", "0")[0]
	reading := w.addNodes(1, "--metrics", "0", "--scrub-every", "8h")[0] // 12 s
	w.settle(14)
	path, sum := w.file("x.bin", 8<<20)
	res := w.newcomer("owner").put(path, "--profile", "4/9/14")
	if res.Stored != 14 {
		t.Fatalf("put: %+v", res)
	}
	rotted := time.Now()
	spoil(t, audited, everyLeaf)
	spoil(t, reading, oneByte)
	w.findsRot(audited, res.Link)
	t.Logf("an auditor came upon it after %s", time.Since(rotted).Round(time.Second))
	w.findsRot(reading, res.Link)
	for _, n := range []*launch.Node{audited, reading} {
		w.mendsRot(n)
	}
	t.Logf("mended after %s", time.Since(rotted).Round(time.Second))
	if st := w.status(reading); st.Scrub.Finished == "" || st.Scrub.Shards == 0 {
		t.Errorf("it was not found by reading over: %+v", st.Scrub)
	}
	if h, _ := w.newcomer("gauge").holders(res.Link); h.Reachable != 14 {
		t.Errorf("health after mending: %+v", h)
	}
	w.newcomer("stranger").catInTime("after the rot", res.Link, sum)
}

// status asks a node for its status.
func (w *town) status(n *launch.Node) (st node.Status) {
	w.t.Helper()
	(&person{w, n.Home, nil}).ok(&st, "", "node", "status")
	return st
}

// findsRot waits until a node knows that its shards are damaged. Until they are
// mended, status, metrics and the health of what it holds say so.
func (w *town) findsRot(n *launch.Node, link string) {
	w.t.Helper()
	w.await("rot is found", func() bool {
		st := w.status(n)
		return st.Scrub.Damaged > 0 || st.Traffic.Mended > 0
	})
	damaged := metric(w.t, scrape(w.t, metricsURL(w.t, n)), "cairn_node_shards_damaged")
	said := (&person{w, n.Home, nil}).run("", "node", "status").Stdout
	h, nodes := w.newcomer("gauge").holders(link)
	if st := w.status(n); st.Scrub.Damaged < st.Shards {
		w.t.Logf("%s has mended before it could be asked", n.Name)
		return
	}
	slot := slices.Index(nodes, n)
	if h.Holders[slot].Proved || h.Reachable == h.N {
		w.t.Errorf("health of a link with rot at slot %d: %+v", slot, h)
	}
	if damaged == 0 || !contains(said, "damaged on disk and not mended yet: ") {
		w.t.Errorf("%v shards are damaged by the metrics; status: %s", damaged, said)
	}
}

// mendsRot waits until a node has made all its shards again.
func (w *town) mendsRot(n *launch.Node) {
	w.t.Helper()
	var st node.Status
	w.await("the holder has mended its shards", func() bool {
		st = w.status(n)
		return st.Scrub.Damaged == 0 && st.Traffic.Mended >= int64(st.Shards)
	})
	text := scrape(w.t, metricsURL(w.t, n))
	if d, m := metric(w.t, text, "cairn_node_shards_damaged"), metric(w.t, text, "cairn_node_mended_total"); d != 0 || m < float64(st.Shards) {
		w.t.Errorf("metrics: %v shards damaged, %v mended of %d", d, m, st.Shards)
	}
	log, err := os.ReadFile(n.LogPath())
	w.must(err)
	if !contains(log, "a shard is damaged on the disk") || !contains(log, "a shard that was damaged or missing is whole") {
		w.t.Errorf("%s says nothing of it: %s", n.Name, log)
	}
}

// How much of each shard spoil flips.
const (
	oneByte   = 0
	everyLeaf = 16 << 10 // one byte in this many
)

// spoil flips bytes of every shard in a node's logs, behind the node's back, like
// a disk that loses them, and returns of how many shards. storage/record.go shows
// the format of records.
func spoil(t *testing.T, n *launch.Node, every int) (shards int) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(n.Home, "node", "store", "logs", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("%s keeps no logs: %v", n.Name, err)
	}
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range shardsIn(b) {
			shards++
			step := every
			if every == oneByte {
				at.begin += (at.end - at.begin) / 2
				step = at.end - at.begin
			}
			for i := at.begin; i < at.end; i += step {
				if _, err := f.WriteAt([]byte{b[i] ^ 0x10}, int64(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if shards == 0 {
		t.Fatalf("%s keeps no shards: the test tests nothing", n.Name)
	}
	return shards
}

// extent is where a shard's data lie in a log.
type extent struct{ begin, end int }

// shardsIn finds the shards of a log.
func shardsIn(b []byte) (out []extent) {
	const header, shard = 144, 2
	for off := 0; off+header <= len(b) && string(b[off:off+8]) == "\xca\x12\x4e\x0d\x0areC"; {
		le, h := binary.LittleEndian, b[off:]
		data := int(le.Uint32(h[20:]))
		begin := off + header + int(le.Uint32(h[12:])) + int(le.Uint32(h[16:]))
		if h[9] == shard {
			out = append(out, extent{begin, begin + data})
		}
		off = (begin + data + 7) &^ 7
	}
	return out
}

// metric reads the number of a metric without labels.
func metric(t *testing.T, text, name string) float64 {
	t.Helper()
	m := regexp.MustCompile(fmt.Sprintf(`(?m)^%s ([0-9.e+-]+)$`, name)).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no metric %s", name)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
