//go:build linux

package integration

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// A node with that many small shards, each with its grant, and the limits that it
// must keep.
const (
	million       = 1_000_000
	millionGroups = 1000

	millionVariable = "CAIRN_MILLION" // set: TestMillionShards runs; on a machine that does nothing else, or its times mean nothing

	openWithout = 60 * time.Second // until it is ready, without its index
	openWith    = 5 * time.Second

	idleFor    = time.Minute // and another one before, to come to rest
	idleCPU    = 0.02        // of a core
	idleMemory = 300e6       // bytes
)

// TestMillionShards starts a real node on a store of a million small shards:
// without its index, with it, and lets it idle.
func TestMillionShards(t *testing.T) {
	if os.Getenv(millionVariable) == "" {
		t.Skip("minutes, of a whole machine: `make million` runs it")
	}
	w := newTown(t, 1, launch.Config{})
	n := w.addNodes(1)[0]
	_, err := n.Terminate(w.ctx)
	w.must(err)
	dir := filepath.Join(n.Home, "node", "store")
	begun := time.Now()
	w.fill(dir, n.Peer())
	t.Logf("filled in %s", time.Since(begun).Round(time.Second))
	for _, c := range []struct {
		name   string
		before func()
		within time.Duration
	}{
		{"without its index", func() { w.deleteIndex(n) }, openWithout},
		{"with its index", func() {}, openWith},
	} {
		c.before()
		begun := time.Now()
		w.must(n.Restart(w.ctx))
		took := time.Since(begun)
		info, err := os.Stat(filepath.Join(dir, "index.db"))
		w.must(err)
		t.Logf("%s: ready after %s; the index has %d MB", c.name, took.Round(10*time.Millisecond), info.Size()/1e6)
		if took > c.within {
			t.Errorf("%s: ready after %s, and %s are the most", c.name, took, c.within)
		}
		var st struct{ Shards, Groups int }
		(&person{w, n.Home, nil}).ok(&st, "", "node", "status")
		if st.Shards != million || st.Groups != millionGroups {
			t.Errorf("%s: %+v", c.name, st)
		}
		if c.within == openWith {
			w.idles(n)
		}
		_, err = n.Terminate(w.ctx)
		w.must(err)
	}
}

// idles lets a node come to rest and checks what it takes then.
func (w *town) idles(n *launch.Node) {
	w.t.Helper()
	time.Sleep(idleFor) // a real sleep: the test measures real time
	cpu, begun := cpuTime(n.PID()), time.Now()
	time.Sleep(idleFor)
	share := float64(cpuTime(n.PID())-cpu) / float64(time.Since(begun))
	rss := memoryOf(n.PID(), "VmRSS")
	w.t.Logf("idle: %.2f %% of a core, %d MB (of which %d MB are its own, not the index's pages)", 100*share, rss/1e6, memoryOf(n.PID(), "RssAnon")/1e6)
	if share > idleCPU {
		w.t.Errorf("idle it takes %.2f %% of a core", 100*share)
	}
	if rss == 0 || rss > idleMemory {
		w.t.Errorf("idle it takes %d MB", rss/1e6)
	}
}

// memoryOf returns a line of /proc/PID/status in bytes.
func memoryOf(pid int, line string) int64 {
	m := regexp.MustCompile(line + `:\s+(\d+) kB`).FindSubmatch(procRead(pid, "status"))
	if m == nil {
		return 0
	}
	kB, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kB << 10
}

var schedStat = regexp.MustCompile(`^(\d+) `)

// cpuTime returns how long a process's threads have run.
func cpuTime(pid int) (sum time.Duration) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		if m := schedStat.FindSubmatch(procRead(pid, "task/"+filepath.Base(task)+"/schedstat")); m != nil {
			ns, _ := strconv.ParseInt(string(m[1]), 10, 64)
			sum += time.Duration(ns)
		}
	}
	return sum
}

// fill puts a million shards and their grants into the store of a node that
// does not run.
func (w *town) fill(dir, owner string) {
	w.t.Helper()
	// This index may lie in memory: the node makes its own.
	index := filepath.Join(w.Dir(), "fill.db")
	if dir, err := os.MkdirTemp("/dev/shm", "cairn-test-"); err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		index = filepath.Join(dir, "fill.db")
	}
	d, err := storage.Open(storage.Config{Dir: dir, Owner: owner, Quota: 4e9, Existing: true, Index: index})
	w.must(err)
	holder, err := peer.Decode(owner)
	w.must(err)
	key := seededKey(w.rng)
	var next atomic.Int64
	var lanes sync.WaitGroup
	fail := make(chan error, 1)
	for range 512 {
		lanes.Go(func() {
			for g := next.Add(1); g <= millionGroups; g = next.Add(1) {
				if err := fillGroup(w.ctx, d, key, holder, int(g)); err != nil {
					select {
					case fail <- err:
					default:
					}
					return
				}
			}
		})
	}
	lanes.Wait()
	select {
	case err := <-fail:
		w.t.Fatal(err)
	default:
	}
	w.must(d.Close())
}

// fillGroup puts a group's record, table, shards and grants.
func fillGroup(ctx context.Context, d *storage.Disk, key ed25519.PrivateKey, holder peer.ID, n int) error {
	pub := protocol.PublicKeyOf(key)
	rec := protocol.NewGroupRecord("test", pub, pub, protocol.Hash{}, protocol.Nonce(seededBytes(uint64(n), 16)))
	record, id := rec.Encode()
	other, err := crypto.UnmarshalEd25519PublicKey(ed25519.NewKeyFromSeed(seededBytes(uint64(n), 32)).Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	nobody, err := peer.IDFromPublicKey(other)
	if err != nil {
		return err
	}
	fact := func(k protocol.FactKind, b []byte) storage.Fact {
		return storage.Fact{Group: id, Kind: uint8(k), Bytes: b}
	}
	table := protocol.SignTable(key, "test", id, campaignProfile, []peer.ID{holder, nobody})
	if err := d.PutFact(ctx, fact(protocol.FactRecord, record), fact(protocol.FactTable, table)); err != nil {
		return err
	}
	const each = million / millionGroups
	for i := range each {
		segment := protocol.SegmentID(protocol.Sum(fmt.Appendf(nil, "%d/%d", n, i)))
		err := errors.Join(
			d.PutShard(ctx, &storage.Shard{
				Key: storage.ShardKey{Segment: segment}, Group: id, Descriptor: seededBytes(uint64(i), 500), Data: seededBytes(uint64(i), 64),
			}),
			d.PutFact(ctx, fact(protocol.FactGrant, protocol.SignGrant(key, "test", id, segment[:], 1))),
		)
		if err != nil {
			return err
		}
	}
	return nil
}
