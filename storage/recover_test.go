package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/kv"
	"github.com/cairnstore/cairn/storage/storagetest"
)

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
	if err := errors.Join(work(d, fs, l, seed), l.check(d), d.Close()); err != nil {
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

// sameRebuilt checks that an index made again equals, to the byte, that of the
// store, which is closed.
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

// recoverAll opens a store after a crash, with the index in each of its states,
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
