package storage_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

// matrixEnv, set to "full", makes TestFaultMatrix take every operation instead of
// every sixteenth: minutes instead of seconds.
const (
	matrixEnv   = "CAIRN_MATRIX"
	matrixCases = 5000 // at least, of the full one
)

// upset is a fault that befalls one operation that changes the disk, or that one
// and all of its kind after it.
type upset struct {
	name    string
	err     error
	kinds   []storagetest.OpKind // that it can befall; all if empty
	forEver bool
	after   []aftermath
}

// aftermath is how the next process finds the disk.
type aftermath struct {
	name string
	disk func(*storagetest.FS, *rand.Rand) *storagetest.FS
}

func survival(name string, how storagetest.Survival) aftermath {
	return aftermath{name, func(fs *storagetest.FS, rng *rand.Rand) *storagetest.FS { return fs.Restart(how, rng) }}
}

var (
	killed    = aftermath{"killed", func(fs *storagetest.FS, _ *rand.Rand) *storagetest.FS { return fs.Kill() }}
	forgotten = survival("unsynced bytes forgotten", storagetest.Nothing)

	crashes = []aftermath{
		killed, forgotten,
		survival("unsynced bytes kept", storagetest.Everything),
		survival("torn", storagetest.Something), survival("torn otherwise", storagetest.Something),
		survival("directory entries lost", storagetest.Unnamed),
		survival("bytes lost, entries kept", storagetest.Unwritten),
	}
	ends = []aftermath{killed, forgotten}

	syncs  = []storagetest.OpKind{storagetest.OpSync, storagetest.OpSyncDir}
	writes = []storagetest.OpKind{storagetest.OpWrite, storagetest.OpCreate}

	upsets = []upset{
		{name: "crash", err: storagetest.ErrPower, after: crashes},
		{name: "ENOSPC once", err: storage.ErrFull, kinds: writes, after: ends},
		{name: "ENOSPC for ever", err: storage.ErrFull, kinds: writes, forEver: true, after: ends},
		{name: "EIO on write once", err: storagetest.ErrIO, kinds: writes, after: ends},
		{name: "EIO on write for ever", err: storagetest.ErrIO, kinds: writes, forEver: true, after: ends},
		{name: "EIO on fsync once", err: storagetest.ErrIO, kinds: syncs, after: ends},
		{name: "EIO on fsync for ever", err: storagetest.ErrIO, kinds: syncs, forEver: true, after: ends},
		{name: "EIO on anything once", err: storagetest.ErrIO, after: ends},
		{name: "EIO on anything for ever", err: storagetest.ErrIO, forEver: true, after: ends},
	}
)

// TestFaultMatrix upsets every operation that changes the disk, in every way,
// while shards and facts are put, deleted and moved; then the index is kept,
// removed, or an older one. Nothing acknowledged is lost, nothing deleted comes
// back, nothing is acknowledged after a failed sync, and the index made again
// equals the one that was kept, to the byte.
func TestFaultMatrix(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	m := &matrix{seed: seed, upset: make(map[string]int)}
	full := os.Getenv(matrixEnv) == "full"
	for _, u := range upsets {
		t.Run(u.name, func(t *testing.T) {
			first, stride := 0, 1
			if !full {
				first, stride = int(seed%16), 16
			}
			before := m.cases
			for at, hit := first, true; hit; at += stride {
				var err error
				if hit, err = m.run(t, &u, at); err != nil {
					t.Fatalf("seed %d, operation %d: %v", seed, at, err)
				}
			}
			t.Logf("%d cases", m.cases-before)
		})
	}
	for _, what := range slices.Sorted(maps.Keys(m.upset)) {
		t.Logf("%5d × %s", m.upset[what], what)
	}
	t.Logf("%d cases in all", m.cases)
	if full && m.cases < matrixCases {
		t.Errorf("%d cases, want %d", m.cases, matrixCases)
	}
	for _, what := range []string{"create log.new", "write log", "sync log", "rename log.new", "remove log", "syncdir logs"} {
		if full && m.upset[what] == 0 {
			t.Errorf("no %s was upset", what)
		}
	}
}

// matrix counts what was tried.
type matrix struct {
	seed  uint64
	cases int
	upset map[string]int // operations, by kind and file
}

// run lets a store work until u befalls the at-th of the operations that it can,
// then opens the store again in all ways. hit is false when the work was done
// before that.
func (m *matrix) run(t *testing.T, u *upset, at int) (hit bool, err error) {
	dir := fast(t)
	index, older := filepath.Join(dir, "index.db"), filepath.Join(dir, "older.db")
	l := newLedger()
	fs := prepare(t, index, l, m.seed)
	copyFile(t, index, older)
	n := -1
	fs.Inject(func(op storagetest.Op) error {
		if len(u.kinds) > 0 && !slices.Contains(u.kinds, op.Kind) {
			return nil
		}
		if n++; n == at {
			hit = true
			m.upset[nameOf(op)]++
		}
		if n == at || u.forEver && n > at {
			return u.err
		}
		return nil
	})
	if d, err := storage.Open(crashConfig(fs, index)); err == nil {
		lie := work(d, fs, l, m.seed+1)
		crashed := errors.Is(u.err, storagetest.ErrPower)
		if !crashed && lie == nil {
			lie = stillServes(d, l)
		}
		if err := d.Close(); lie != nil {
			return true, errors.Join(lie, err) // a store that failed may say so again
		}
	}
	fs.Inject(nil)
	if !hit {
		return false, nil
	}
	for i, how := range u.after {
		err := m.recover(t, how.disk(fs.Clone(), rand.New(rand.NewPCG(m.seed, uint64(at*16+i)))), index, older, l)
		if err != nil {
			return true, fmt.Errorf("%s: %w", how.name, err)
		}
	}
	return true, nil
}

// recover opens a disk with each state of the index, goes on working with it, and
// lets the power fail at the end.
func (m *matrix) recover(t *testing.T, disk *storagetest.FS, index, older string, l *ledger) error {
	if err := recoverAll(t, disk, index, older, l); err != nil {
		return err
	}
	m.cases += len(indexes)
	next, then := disk.Clone(), l.clone()
	path := index + ".next"
	defer func() { _ = os.Remove(path) }()
	copyFile(t, index, path)
	d, err := storage.Open(crashConfig(next, path))
	if err != nil {
		return err
	}
	if err := errors.Join(work(d, next, then, m.seed+2), then.check(d), d.Close()); err != nil {
		return err
	}
	d, err = storage.Open(crashConfig(next.Restart(storagetest.Nothing, nil), path))
	if err != nil {
		return err
	}
	m.cases++
	return errors.Join(then.check(d), d.Close())
}

// nameOf names an operation by kind and what it is done to.
func nameOf(op storagetest.Op) string {
	base := filepath.Base(op.Name)
	if digits, suffix, ok := strings.Cut(base, "."); ok && strings.Trim(digits, "0123456789") == "" {
		base = suffix
	}
	return string(op.Kind) + " " + base
}

// stillServes checks that a store that can no longer write, or can again,
// reads what it holds, and acknowledges nothing if it failed.
func stillServes(d *storage.Disk, l *ledger) error {
	failed := errors.Is(d.Usage().Err, storage.ErrFailed)
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range perWriter * writers {
		sh := crashShard(n)
		if l.shards[sh.Key] != held {
			continue
		}
		if err := storagetest.Holds(context.Background(), d, sh); err != nil {
			return err
		}
	}
	if !failed {
		return nil
	}
	err := d.PutShard(context.Background(), storagetest.Shard(3, 1, 900, 1, 10))
	if !errors.Is(err, storage.ErrFailed) {
		return errors.Join(errors.New("a failed store acknowledged a put"), err)
	}
	return nil
}
