package storage

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// shm returns a folder, in memory where the system has one.
func shm(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "cairn-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// recount computes a store's Usage anew: from the bytes of its logs and from what
// it lists, without the counters that Usage reads.
func recount(t *testing.T, d *Disk) Usage {
	t.Helper()
	ids, err := logNumbers(d.cfg.FS, d.logs.dir)
	if err != nil {
		t.Fatal(err)
	}
	there := make(map[uint64]bool)
	for _, id := range ids {
		there[id] = true
	}
	var u Usage
	groups := make(map[protocol.GroupID]bool)
	for _, id := range ids {
		l, err := d.logs.use(id)
		if err != nil {
			t.Fatal(err)
		}
		size, err := l.Size()
		if err != nil {
			t.Fatal(err)
		}
		s := newScanner(l, &d.key, id, 0, size)
		for h, at, err := s.next(); !errors.Is(err, io.EOF); h, at, err = s.next() {
			if err != nil {
				t.Fatal(err)
			}
			if h.isKill() {
				if there[h.victim.log] && h.victim.log != id {
					u.Used += h.size() // as long as its victim could come back
				}
				continue
			}
			if h.kind == startRecord {
				continue
			}
			bucket, key := h.recordKey()
			if e, err := d.index.find(bucket, key); err != nil || e == nil || e.place != at {
				continue
			}
			u.Used += h.size()
			groups[h.group] = true
			if h.kind == shardRecord {
				u.Shards++
			}
		}
		l.done()
	}
	u.Groups = len(groups)
	return u
}

// Usage equals a recount after any history: of puts, puts again, deletes, facts,
// compaction, and restarts with the index kept, deleted, or an older one.
func TestUsageEqualsRecount(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	histories, steps := 40, 60
	if testing.Short() {
		histories = 6
	}
	for n := range histories {
		h := newHistory(t, rand.New(rand.NewPCG(seed, uint64(n))))
		for i := range steps {
			did := h.step()
			h.d.compacting <- struct{}{} // nothing moves meanwhile
			got, want := h.d.Usage(), recount(t, h.d)
			<-h.d.compacting
			if got.Used != want.Used || got.Shards != want.Shards || got.Groups != want.Groups {
				t.Fatalf("seed %d, history %d, step %d (%s): usage %+v, a recount gives %+v", seed, n, i, did, got, want)
			}
			if got.Shards != len(h.shards) {
				t.Fatalf("seed %d, history %d, step %d (%s): %d shards, %d were put", seed, n, i, did, got.Shards, len(h.shards))
			}
		}
		if err := h.d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// history is one store and what was done to it.
type history struct {
	t      *testing.T
	rng    *rand.Rand
	cfg    Config
	d      *Disk
	older  []byte
	shards map[int]bool
}

func newHistory(t *testing.T, rng *rand.Rand) *history {
	h := &history{
		t: t, rng: rng, shards: make(map[int]bool),
		cfg: Config{Dir: filepath.Join(shm(t), "store"), Owner: "test", Reserve: -1, Quota: 2 << 20}.withDefaults(),
	}
	h.open()
	return h
}

func (h *history) open() {
	h.t.Helper()
	d, err := Open(h.cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.d = d
}

func (h *history) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) shard(n int) *Shard {
	return &Shard{
		Key: ShardKey{Segment: protocol.SegmentID{1, byte(n)}, Slot: uint8(n % 3)}, Group: protocol.GroupID{byte(n % 5)},
		Descriptor: make([]byte, 1+n), Outboard: make([]byte, n*7), Data: make([]byte, 1+n*431%9000),
	}
}

func (h *history) fact(n int) Fact {
	return Fact{Group: protocol.GroupID{byte(n % 7)}, Kind: 1, Bytes: make([]byte, n)}
}

// step does something and tells what.
func (h *history) step() string {
	h.t.Helper()
	ctx := context.Background()
	n := h.rng.IntN(40)
	switch h.rng.IntN(12) {
	case 0, 1, 2, 3:
		h.must(h.d.PutShard(ctx, h.shard(n)))
		h.shards[n] = true
		return "put"
	case 4, 5, 6:
		h.must(h.d.DeleteShard(ctx, h.shard(n).Key))
		delete(h.shards, n)
		return "delete"
	case 7:
		h.must(h.d.PutFact(ctx, h.fact(n), h.fact(n+1), h.fact(n)))
		return "facts"
	case 8:
		f := h.fact(n)
		h.must(h.d.DeleteFact(ctx, f.Group, f.ID()))
		return "delete fact"
	case 9:
		h.must(h.d.Quiesce())
		return "compact"
	case 10:
		h.rewrite(n)
		return "mend"
	}
	return h.restart()
}

// rewrite makes the store write a held shard again, as if it was found damaged.
func (h *history) rewrite(n int) {
	h.t.Helper()
	if h.shards[n] {
		h.d.damage.add(touch(shardWanted(h.shard(n).Key)))
		h.must(h.d.PutShard(context.Background(), h.shard(n)))
	}
}

func (h *history) restart() string {
	h.t.Helper()
	h.must(h.d.Close())
	defer h.open()
	now, err := os.ReadFile(h.cfg.Index)
	h.must(err)
	before := h.older
	if before == nil || h.rng.IntN(2) == 0 {
		h.older = now
	}
	switch h.rng.IntN(3) {
	case 0:
		h.must(os.Remove(h.cfg.Index))
		return "restart without the index"
	case 1:
		if before != nil {
			h.must(os.WriteFile(h.cfg.Index, before, 0o600))
		}
		return "restart with an older index"
	}
	return "restart"
}

// Deleting gives the disk's blocks back, not only the quota's bytes.
func TestDeletingFreesDisk(t *testing.T) {
	const count, size, quota = 256, 128 << 10, 128 << 20
	dir := t.TempDir()
	d, err := Open(Config{Dir: dir, Owner: "test", Reserve: -1, Quota: quota})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	shard := func(n int) *Shard {
		return &Shard{Key: ShardKey{Segment: protocol.SegmentID{1, byte(n)}}, Group: protocol.GroupID{1}, Descriptor: []byte{1}, Data: make([]byte, size)}
	}
	for n := range count {
		if err := d.PutShard(t.Context(), shard(n)); err != nil {
			t.Fatal(err)
		}
	}
	full := onDisk(t, dir)
	if full < count*size {
		t.Fatalf("%d bytes on the disk for %d put: the test tests nothing", full, count*size)
	}
	for n := range count {
		if n%8 != 0 {
			if err := d.DeleteShard(t.Context(), shard(n).Key); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The compactor was told by the deletes; nobody calls it.
	want, end := int64(count*size/4+2*d.logSize), time.Now().Add(time.Minute)
	for onDisk(t, dir) > want && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
	}
	left := onDisk(t, dir)
	t.Logf("%d MiB on the disk, after deleting 7 of 8 shards %d MiB", full>>20, left>>20)
	if left > want {
		t.Errorf("%d bytes on the disk, want at most %d", left, want)
	}
}
