package node

import (
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/cairnstore/cairn/storage"
)

// onDisk returns how many bytes the files below a folder have.
func onDisk(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return nil // one that compaction has just removed
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What an owner deletes leaves the disk, once its week is over: first what the
// store counts, then, as logs are compacted, the files.
func TestDeletedBytesLeaveTheDisk(t *testing.T) {
	dir := t.TempDir()
	disk, err := storage.Open(storage.Config{Dir: dir, Owner: "test", Reserve: -1, Quota: 128 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = disk.Close() }()
	w := newWorld(t, 81, func(c *Config) { c.Store = disk })
	o := w.newOwner().found()
	const count, size = 80, 512 << 10
	var put []*segment
	for range count {
		s := o.newSegment(size)
		o.mustPut(s)
		put = append(put, s)
	}
	used, full := disk.Usage().Used, onDisk(t, dir)
	for i, s := range put {
		if i%8 != 0 {
			o.must(o.deleteFact(s.id[:]))
		}
	}
	if now := disk.Usage(); now.Shards != count {
		t.Errorf("%d shards within the week", now.Shards)
	}
	w.clock.step(DefaultTiming().DeleteDelay)
	if err := w.node.upkeepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := disk.Usage(); now.Shards != count/8 || now.Used > used/4 {
		t.Errorf("%d shards, %d bytes of %d are counted", now.Shards, now.Used, used)
	}
	end := time.Now().Add(time.Minute) // the compactor is told by the deletes
	for onDisk(t, dir) > full/2 && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
	}
	left := onDisk(t, dir)
	t.Logf("%d MiB of %d MiB are left on the disk", left>>20, full>>20)
	if left > full/2 {
		t.Errorf("%d bytes of %d are left on the disk", left, full)
	}
	for i, s := range put {
		if _, err := o.get(s, 0, 0); (err == nil) != (i%8 == 0) {
			t.Errorf("segment %d: %v", i, err)
		}
	}
}
