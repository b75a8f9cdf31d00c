package storage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/kv"
	"github.com/cairnstore/cairn/storage/storagetest"
)

const (
	crashQuota = 2 << 20 // logs of 64 KiB: a short run makes and compacts several
	writers    = 3
	steps      = 30 // of each writer
)

// promise is what a writer knows of one shard or fact.
type promise int

const (
	unknown promise = iota // a call on it failed or never returned
	held
	absent
)

// ledger is what a run was promised.
type ledger struct {
	mu     sync.Mutex
	shards map[storage.ShardKey]promise
	facts  map[int]promise
	size   map[storage.ShardKey]int
}

func newLedger() *ledger {
	return &ledger{shards: map[storage.ShardKey]promise{}, facts: map[int]promise{}, size: map[storage.ShardKey]int{}}
}

func (l *ledger) shard(sh *storage.Shard, p promise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shards[sh.Key], l.size[sh.Key] = p, len(sh.Data)
}

func (l *ledger) fact(n int, p promise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.facts[n] = p
}

// crashShard is the shard that stands for number n in all of these tests.
func crashShard(n int) *storage.Shard {
	sizes := []int{1, 100, 511, 3000, 9000, 20000}
	return storagetest.Shard(3, n%4, n, n%5, sizes[n%len(sizes)])
}

func crashFact(n int) storage.Fact { return storagetest.Fact(n%4, n, 10+n%900) }

// work puts, deletes and puts again in several goroutines, until all is done
// or the store fails. It notes what it is promised.
func work(s storage.Store, l *ledger, seed uint64) {
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for range steps {
				n := writers*rng.IntN(15) + w // no two writers meet
				if step(s, l, rng.IntN(7), n) != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}

func step(s storage.Store, l *ledger, what, n int) error {
	ctx := context.Background()
	sh, f := crashShard(n), crashFact(n)
	switch what {
	case 0, 1, 2, 3:
		l.shard(sh, unknown)
		if err := s.PutShard(ctx, sh); err != nil {
			return err
		}
		l.shard(sh, held)
	case 4:
		l.shard(sh, unknown)
		if err := s.DeleteShard(ctx, sh.Key); err != nil {
			return err
		}
		l.shard(sh, absent)
	case 5:
		l.fact(n, unknown)
		if err := s.PutFact(ctx, f); err != nil {
			return err
		}
		l.fact(n, held)
	case 6:
		l.fact(n, unknown)
		if err := s.DeleteFact(ctx, f.Group, f.ID()); err != nil {
			return err
		}
		l.fact(n, absent)
	}
	return nil
}

// check compares a store with what was promised: what was acknowledged is
// there, what was deleted is not, the rest is whole or not at all, and the
// store's books agree with what it lists.
func (l *ledger) check(s storage.Store) error {
	ctx := context.Background()
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range 15 * writers {
		sh := crashShard(n)
		p, known := l.shards[sh.Key]
		err := storagetest.Holds(ctx, s, sh)
		gone := errors.Is(err, storage.ErrNotFound)
		switch {
		case (p == held) && err != nil:
			return fmt.Errorf("shard %d was acknowledged: %w", n, err)
		case (p == absent || !known) && !gone:
			return fmt.Errorf("shard %d should not be there: %w", n, err)
		case err != nil && !gone:
			return fmt.Errorf("shard %d is there half: %w", n, err)
		}
	}
	there, listed, groups, err := list(ctx, s)
	if err != nil {
		return err
	}
	for n := range 15 * writers {
		p, known := l.facts[n]
		id := crashFact(n).ID()
		if p == held && !there[id.String()] {
			return fmt.Errorf("fact %d was acknowledged and is gone", n)
		}
		if (p == absent || !known) && there[id.String()] {
			return fmt.Errorf("fact %d should not be there", n)
		}
	}
	if u := s.Usage(); u.Shards != listed || u.Groups != groups || u.Err != nil {
		return fmt.Errorf("%d shards in %d groups are listed, usage says %+v", listed, groups, u)
	}
	return nil
}

func list(ctx context.Context, s storage.Store) (facts map[string]bool, shards, groups int, err error) {
	facts = make(map[string]bool)
	for g, err := range s.Groups(ctx) {
		if err != nil {
			return nil, 0, 0, err
		}
		groups++
		for f, err := range s.Facts(ctx, g) {
			if err != nil {
				return nil, 0, 0, err
			}
			facts[f.ID().String()] = true
		}
		for _, err := range s.Shards(ctx, g) {
			if err != nil {
				return nil, 0, 0, err
			}
			shards++
		}
	}
	return facts, shards, groups, nil
}

// fast returns a folder for indexes, in memory where the system has one: these
// tests open thousands, and their syncs are not what is tested.
func fast(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "cairn-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func crashConfig(fs *storagetest.FS, index string) storage.Config {
	return storage.Config{Dir: "/store", Owner: "test", Quota: crashQuota, Reserve: -1, Index: index, FS: fs}
}

// prepare makes a store with something in it, and returns it closed.
func prepare(t testing.TB, index string, l *ledger, seed uint64) *storagetest.FS {
	t.Helper()
	fs := storagetest.NewFS()
	d, err := storage.Open(crashConfig(fs, index))
	if err != nil {
		t.Fatal(err)
	}
	work(d, l, seed)
	if err := errors.Join(l.check(d), d.Close()); err != nil {
		t.Fatal(err)
	}
	return fs
}

// dump returns all of an index.
func dump(t testing.TB, path string) map[string]string {
	t.Helper()
	db, err := kv.Open(path, kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	err = db.View(func(tx *kv.Tx) error {
		for _, bucket := range []string{"shards", "members", "facts", "groups", "logs", "meta"} {
			for k, v := range tx.Scan(bucket, nil) {
				all[fmt.Sprintf("%s %x", bucket, k)] = fmt.Sprintf("%x", v)
			}
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}

// sameRebuilt checks that an index made again is that of the store, closed
// now, to the byte.
func sameRebuilt(t testing.TB, fs *storagetest.FS, index string) error {
	t.Helper()
	want := dump(t, index)
	again := index + ".again"
	defer func() { _ = os.Remove(again) }()
	d, err := storage.Open(crashConfig(fs, again))
	if err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	got := dump(t, again)
	for k, v := range want {
		if got[k] != v {
			return fmt.Errorf("index made again: %s = %q, was %q", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("index made again: %d keys, were %d", len(got), len(want))
	}
	return nil
}

// indexes are what a crash may leave of the index, which lies on a real disk
// here: as it was, nothing, or an older state.
var indexes = []string{"kept", "deleted", "older"}

// recover opens a store after a crash, in each of the indexes' states, and
// checks it, works on with it, and checks again.
func recoverAll(t testing.TB, fs *storagetest.FS, index, older string, l *ledger) error {
	t.Helper()
	for _, state := range indexes {
		disk := fs.Clone()
		path := index + "." + state
		switch state {
		case "kept":
			copyFile(t, index, path)
		case "older":
			copyFile(t, older, path)
		}
		if err := recoverOne(t, disk, path, l); err != nil {
			return fmt.Errorf("index %s: %w", state, err)
		}
		_ = os.Remove(path)
	}
	return nil
}

func recoverOne(t testing.TB, disk *storagetest.FS, index string, l *ledger) error {
	t.Helper()
	d, err := storage.Open(crashConfig(disk, index))
	if err != nil {
		return err
	}
	if err := errors.Join(l.check(d), d.Quiesce(), l.check(d)); err != nil {
		return errors.Join(err, d.Close())
	}
	again := storagetest.Shard(3, 1, 500, 1, 700)
	err = errors.Join(
		d.PutShard(context.Background(), again),
		storagetest.Holds(context.Background(), d, again),
		d.DeleteShard(context.Background(), again.Key),
		d.Quiesce(),
		d.Close(),
	)
	if err != nil {
		return err
	}
	return sameRebuilt(t, disk, index)
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// matrixEnv set to "full" has the tests of crashes and faults take every
// operation, not each eighth: minutes instead of seconds.
const matrixEnv = "CAIRN_MATRIX"

// operations returns the first operation to fail and how many to go on by.
func operations(seed uint64) (first, stride int) {
	switch {
	case os.Getenv(matrixEnv) == "full":
		return 0, 1
	case testing.Short():
		return int(seed % 16), 16
	}
	return int(seed % 8), 8
}

// TestPowerFailure lets the power fail at every operation that changes the
// disk, and everything that was not synced be lost, kept or torn.
func TestPowerFailure(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	cases := 0
	first, stride := operations(seed)
	for at := first; ; at += stride {
		index := filepath.Join(fast(t), "index.db")
		older := index + ".older-copy"
		l := newLedger()
		fs := prepare(t, index, l, seed)
		copyFile(t, index, older)
		begin := fs.Ops()
		fs.Inject(func(op storagetest.Op) error {
			if op.Index == begin+at {
				return storagetest.ErrPower
			}
			return nil
		})
		done := false
		if d, err := storage.Open(crashConfig(fs, index)); err == nil {
			work(d, l, seed+1)
			done = d.Close() == nil && fs.Ops() <= begin+at
		}
		for i, how := range []storagetest.Survival{storagetest.Nothing, storagetest.Everything, storagetest.Something, storagetest.Something} {
			rng := rand.New(rand.NewPCG(seed, uint64(at*10+i)))
			if err := recoverAll(t, fs.Restart(how, rng), index, older, l); err != nil {
				t.Fatalf("power fails at operation %d, survival %d: %v", at, how, err)
			}
			cases += len(indexes)
		}
		if done {
			break
		}
	}
	t.Logf("%d cases", cases)
}
