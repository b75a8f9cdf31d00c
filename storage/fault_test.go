package storage_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

// fault makes one operation fail, or it and all of its kind behind it.
type fault struct {
	name    string
	err     error
	kinds   []storagetest.OpKind // that it befalls; all if empty
	forEver bool
}

func (f fault) befalls(k storagetest.OpKind) bool {
	for _, own := range f.kinds {
		if own == k {
			return true
		}
	}
	return len(f.kinds) == 0
}

// TestFaults has every operation that changes the disk fail, once and for
// ever. The store goes on or says that it failed; what it acknowledged is
// there, for the next process and after a power failure behind it.
func TestFaults(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	syncs := []storagetest.OpKind{storagetest.OpSync, storagetest.OpSyncDir}
	writes := []storagetest.OpKind{storagetest.OpWrite, storagetest.OpCreate}
	for _, f := range []fault{
		{name: "full once", err: storage.ErrFull, kinds: writes},
		{name: "full for ever", err: storage.ErrFull, kinds: writes, forEver: true},
		{name: "write error once", err: storagetest.ErrIO, kinds: writes},
		{name: "sync error once", err: storagetest.ErrIO, kinds: syncs},
		{name: "sync error for ever", err: storagetest.ErrIO, kinds: syncs, forEver: true},
		{name: "any error once", err: storagetest.ErrIO},
		{name: "any error for ever", err: storagetest.ErrIO, forEver: true},
	} {
		t.Run(f.name, func(t *testing.T) {
			first, stride := operations(seed)
			for at := first; ; at += stride {
				reached, err := f.run(t, at, seed)
				if err != nil {
					t.Fatalf("at operation %d: %v", at, err)
				}
				if !reached {
					return
				}
			}
		})
	}
}

// run lets a store work until the at-th operation fails, and opens it again.
func (f fault) run(t *testing.T, at int, seed uint64) (reached bool, err error) {
	index := filepath.Join(fast(t), "index.db")
	older := index + ".older-copy"
	l := newLedger()
	fs := prepare(t, index, l, seed)
	copyFile(t, index, older)
	begin := fs.Ops()
	fs.Inject(func(op storagetest.Op) error {
		if (op.Index == begin+at || f.forEver && op.Index > begin+at) && f.befalls(op.Kind) {
			return f.err
		}
		return nil
	})
	if d, err := storage.Open(crashConfig(fs, index)); err == nil {
		work(d, l, seed+1)
		if err := stillServes(d, l); err != nil {
			return true, errors.Join(err, d.Close())
		}
		_ = d.Close() // a store that failed may say so again
	}
	reached = fs.Ops() > begin+at
	fs.Inject(nil)
	next := fs.Kill() // the process goes, the power stays on
	if err := recoverAll(t, next, index, older, l); err != nil {
		return true, err
	}
	d, err := storage.Open(crashConfig(next, index))
	if err != nil {
		return true, err
	}
	work(d, l, seed+2)
	if err := errors.Join(l.check(d), d.Close()); err != nil {
		return true, err
	}
	rng := rand.New(rand.NewPCG(seed, uint64(at)))
	return reached, recoverAll(t, next.Restart(storagetest.Nothing, rng), index, older, l)
}

// stillServes checks that a store that can no longer write, or can again,
// reads what it holds, and acknowledges nothing if it failed.
func stillServes(d *storage.Disk, l *ledger) error {
	failed := errors.Is(d.Usage().Err, storage.ErrFailed)
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range 15 * writers {
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
