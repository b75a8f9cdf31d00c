//go:build linux

package integration

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// Ten nodes that hold all slots of many groups of small shards, and how much CPU
// and memory one of them may take.
const (
	idleVariable = "CAIRN_IDLE" // set: TestIdleNode runs

	idleGroups = 1000
	idleEach   = 100 // segments of a group

	idleSettle = 5*time.Minute + 30*time.Second // then it reads its disk over, too
	idleWatch  = 5 * time.Minute
	idleDays   = 288 // in the second part a day goes by in idleWatch

	idleBusy = 0.03  // of a core
	idleRSS  = 300e6 // bytes
)

var idleProfile = protocol.Profile{K: 4, R: 7, N: 10}

// TestIdleNode lets ten nodes that hold 100,000 shards each, of the same
// thousand groups, do what nodes do while nobody asks anything of them: beats,
// audits, comparisons of facts, reading the disk over, announcements. It
// measures one of them: first in real time, then with the work of a day in some
// minutes, because otherwise what happens every few hours would be missed: the
// first audits by lot fall due hours after a start.
func TestIdleNode(t *testing.T) {
	if os.Getenv(idleVariable) == "" {
		t.Skip("a quarter of an hour: `make idle` runs it")
	}
	w := newTown(t, 0, launch.Config{})
	nodes := w.addNodes(idleProfile.N, "--metrics", "0", "--lease-scale", "1")
	w.terminate(nodes)
	begun := time.Now()
	w.fillAll(nodes)
	for _, n := range nodes { // the second part starts from the same state
		w.must(os.CopyFS(storeOf(n)+".copy", os.DirFS(storeOf(n))))
	}
	t.Logf("seed %d: %d homes filled in %s", w.seed, len(nodes), time.Since(begun).Round(time.Second))

	w.restart(nodes)
	time.Sleep(idleSettle) // a real sleep: the test measures real time
	now := w.idle(nodes[0], "as time goes by")
	now.did(t, "bytes sent", "bytes received") // groups are compared only every quarter of an hour: see the second part
	if share := now.share(); share > idleBusy {
		t.Errorf("it takes %.2f %% of a core", 100*share)
	}
	if now.rss > idleRSS {
		t.Errorf("it takes %d MB", now.rss/1e6)
	}
	w.terminate(nodes)

	for _, n := range nodes {
		w.must(errors.Join(os.RemoveAll(storeOf(n)), os.Rename(storeOf(n)+".copy", storeOf(n))))
	}
	w.restart(nodes, "--time-scale", strconv.FormatFloat(1.0/idleDays, 'g', -1, 64))
	day := w.idle(nodes[0], "a day's work")
	// No beats: a node that has just answered anything else is sent none.
	day.did(t, "audits that succeeded", "shards proved", "haves answered")
	if share := day.share() / idleDays; share > idleBusy {
		t.Errorf("a day's work takes %.2f %% of a core", 100*share)
	}
}

// use is what a node took for a time.
type use struct {
	cpu, wall time.Duration
	rss       int64              // bytes
	counts    map[string]float64 // by what of idleCounts
}

func (u use) share() float64 { return u.cpu.Seconds() / u.wall.Seconds() }

// did checks that some things went on.
func (u use) did(t *testing.T, what ...string) {
	t.Helper()
	for _, w := range what {
		if u.counts[w] == 0 {
			t.Errorf("no %s", w)
		}
	}
}

// idleCounts are what TestIdleNode tells of a node's counters.
var idleCounts = []struct {
	what string
	line *regexp.Regexp
}{
	{"audits that succeeded", regexp.MustCompile(`(?m)^cairn_node_audits_total{outcome="ok"} (\S+)$`)},
	{"audits that failed", regexp.MustCompile(`(?m)^cairn_node_audits_total{outcome="(?:missing|corrupt|offline|slow)"} (\S+)$`)},
	{"shards proved", regexp.MustCompile(`(?m)^cairn_node_proved_total (\S+)$`)},
	{"beats answered", regexp.MustCompile(`(?m)^cairn_node_requests_total{outcome="ok",request="beat"} (\S+)$`)},
	{"haves answered", regexp.MustCompile(`(?m)^cairn_node_requests_total{outcome="ok",request="have"} (\S+)$`)},
	{"bytes sent", regexp.MustCompile(`(?m)^cairn_node_month_bytes{class="repair",direction="up"} (\S+)$`)},
	{"bytes received", regexp.MustCompile(`(?m)^cairn_node_month_bytes{class="repair",direction="down"} (\S+)$`)},
}

// idle measures what a node takes and does.
func (w *town) idle(n *launch.Node, what string) use {
	w.t.Helper()
	url := metricsURL(w.t, n)
	before, cpu, begun := scrape(w.t, url), cpuTime(n.PID()), time.Now()
	time.Sleep(idleWatch)
	u := use{cpu: cpuTime(n.PID()) - cpu, wall: time.Since(begun), rss: memoryOf(n.PID(), "VmRSS"), counts: make(map[string]float64)}
	after := scrape(w.t, url)
	w.t.Logf("%s: %.2f s of CPU in %s, %.2f %% of a core, %d MB (of which %d MB are its own, not the index's pages)",
		what, u.cpu.Seconds(), u.wall.Round(time.Second), 100*u.share(), u.rss/1e6, memoryOf(n.PID(), "RssAnon")/1e6)
	for _, c := range idleCounts {
		u.counts[c.what] = sumOf(c.line, after) - sumOf(c.line, before)
		w.t.Logf("%s: %.0f %s", what, u.counts[c.what], c.what)
	}
	return u
}

// storeOf returns the folder that a node gives.
func storeOf(n *launch.Node) string { return filepath.Join(n.Home, "node", "store") }

// sumOf adds up the values of a scrape's lines.
func sumOf(line *regexp.Regexp, scrape string) (sum float64) {
	for _, m := range line.FindAllStringSubmatch(scrape, -1) {
		v, _ := strconv.ParseFloat(m[1], 64)
		sum += v
	}
	return sum
}

// terminate ends nodes, and restart starts them again, with further flags.
func (w *town) terminate(nodes []*launch.Node) {
	w.t.Helper()
	for _, n := range nodes {
		_, err := n.Terminate(w.ctx)
		w.must(err)
	}
}

func (w *town) restart(nodes []*launch.Node, args ...string) {
	w.t.Helper()
	for _, n := range nodes {
		w.must(n.Restart(w.ctx, args...))
	}
}

// fillAll puts the groups into the stores of nodes that do not run.
func (w *town) fillAll(nodes []*launch.Node) {
	w.t.Helper()
	key := seededKey(w.rng)
	var disks []*storage.Disk
	var holders []peer.ID
	for _, n := range nodes {
		holder, err := peer.Decode(n.Peer())
		w.must(err)
		d, err := storage.Open(storage.Config{Dir: storeOf(n), Owner: n.Peer(), Quota: 4e9, Existing: true})
		w.must(err)
		disks, holders = append(disks, d), append(holders, holder)
	}
	var all errgroup.Group
	all.SetLimit(16)
	for g := range idleGroups {
		all.Go(func() error { return fillIdle(w.ctx, disks, holders, key, g) })
	}
	w.must(all.Wait())
	for _, d := range disks {
		w.must(d.Close())
	}
}

// fillIdle puts one group's facts and shards. The holders take its slots in
// another order in each group.
func fillIdle(ctx context.Context, disks []*storage.Disk, holders []peer.ID, key ed25519.PrivateKey, nr int) error {
	pub := protocol.PublicKeyOf(key)
	record, id := protocol.NewGroupRecord("test", pub, pub, protocol.Hash{}, protocol.Nonce(seededBytes(uint64(nr), 16))).Encode()
	at := func(slot int) int { return (slot + nr) % len(disks) }
	slots := make([]peer.ID, len(holders))
	for slot := range slots {
		slots[slot] = holders[at(slot)]
	}
	facts := []storage.Fact{
		{Group: id, Kind: uint8(protocol.FactRecord), Bytes: record},
		{Group: id, Kind: uint8(protocol.FactTable), Bytes: protocol.SignTable(key, "test", id, idleProfile, slots)},
		{Group: id, Kind: uint8(protocol.FactRenewal), Bytes: protocol.SignRenewal(key, "test", id, time.Now())},
	}
	var shards errgroup.Group
	for i := range idleEach {
		d, data := idleSegment(uint64(nr*idleEach + i))
		desc, segment := d.Encode()
		facts = append(facts, storage.Fact{Group: id, Kind: uint8(protocol.FactGrant), Bytes: protocol.SignGrant(key, "test", id, segment[:], d.Footprint())})
		for slot := range slots {
			outboard, _ := protocol.Outboard(data[slot])
			sh := &storage.Shard{
				Key: storage.ShardKey{Segment: segment, Slot: uint8(slot)}, Group: id, Descriptor: desc, Outboard: outboard, Data: data[slot],
			}
			shards.Go(func() error { return disks[at(slot)].PutShard(ctx, sh) })
		}
	}
	err := shards.Wait()
	for _, d := range disks {
		err = errors.Join(err, d.PutFact(ctx, facts...))
	}
	return err
}

// idleSegment makes a segment with a shard of 64 bytes for each slot. Nobody
// decodes it: they need not fit one another.
func idleSegment(nr uint64) (*protocol.Descriptor, [][]byte) {
	d := &protocol.Descriptor{
		V: protocol.Version, K: idleProfile.K, N: idleProfile.N, Size: 64 * int64(idleProfile.K), ShardSize: 64,
		ReadKey: protocol.PublicKeyOf(ed25519.NewKeyFromSeed(seededBytes(nr, ed25519.SeedSize))),
	}
	data := make([][]byte, d.N)
	for slot := range data {
		data[slot] = seededBytes(nr*uint64(d.N)+uint64(slot), int(d.ShardSize))
		_, root := protocol.Outboard(data[slot])
		d.Roots = append(d.Roots, root)
	}
	return d, data
}
