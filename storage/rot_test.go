package storage_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

const firstLog = "/store/logs/0000000001.log"

// rotten is a store of three shards in one log.
func rotten(t *testing.T) (*storagetest.FS, storage.Config, []*storage.Shard) {
	t.Helper()
	fs := storagetest.NewFS()
	cfg := crashConfig(fs, filepath.Join(fast(t), "index.db"))
	d := openDisk(t, cfg)
	var shards []*storage.Shard
	for i := range 3 {
		sh := storagetest.Shard(1, 1, i+1, 1, 5000)
		if err := d.PutShard(t.Context(), sh); err != nil {
			t.Fatal(err)
		}
		shards = append(shards, sh)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return fs, cfg, shards
}

// offsetOf returns where some bytes lie in the first log.
func offsetOf(t *testing.T, fs *storagetest.FS, b []byte) int64 {
	t.Helper()
	f, err := fs.Open(firstLog)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	all := make([]byte, size)
	if _, err := f.ReadAt(all, 0); err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(all, b)
	if i < 0 {
		t.Fatal("bytes are not in the log")
	}
	return int64(i)
}

// A shard whose bytes rot is found by Verify, and mended by putting it again.
func TestRotIsFoundAndMended(t *testing.T) {
	fs, cfg, shards := rotten(t)
	for name, part := range map[string]func(*storage.Shard) []byte{
		"data":       func(s *storage.Shard) []byte { return s.Data },
		"descriptor": func(s *storage.Shard) []byte { return s.Descriptor },
		"header":     func(s *storage.Shard) []byte { return s.Key.Segment[:] },
	} {
		t.Run(name, func(t *testing.T) {
			fs := fs.Clone()
			cfg.FS = fs
			cfg.Index = filepath.Join(fast(t), "index.db")
			d := openDisk(t, cfg)
			sh := shards[1]
			fs.Spoil(firstLog, offsetOf(t, fs, part(sh)))
			if err := d.Verify(t.Context(), sh.Key); !errors.Is(err, storage.ErrCorrupt) {
				t.Fatalf("verify: %v, want ErrCorrupt", err)
			}
			if err := d.PutShard(t.Context(), sh); err != nil {
				t.Fatal(err)
			}
			for _, sh := range shards {
				if err := storagetest.Holds(t.Context(), d, sh); err != nil {
					t.Error(err)
				}
			}
			if u := d.Usage(); u.Shards != 3 {
				t.Errorf("%d shards, want 3", u.Shards)
			}
		})
	}
}

// readAll reads a whole shard, as a holder does that passes it on.
func readAll(t *testing.T, d *storage.Disk, sh *storage.Shard) error {
	t.Helper()
	r, err := d.OpenShard(t.Context(), sh.Key)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return r.ReadAll(make([]byte, len(sh.Data)))
}

// Rot that is met while reading is noted, so that the shard can be put again.
func TestRotIsFoundByReading(t *testing.T) {
	fs, cfg, shards := rotten(t)
	d := openDisk(t, cfg)
	sh := shards[1]
	fs.Spoil(firstLog, offsetOf(t, fs, sh.Data))
	if err := readAll(t, d, sh); !errors.Is(err, storage.ErrCorrupt) {
		t.Fatalf("read: %v, want ErrCorrupt", err)
	}
	if err := d.PutShard(t.Context(), sh); err != nil {
		t.Fatal(err)
	}
	if err := storagetest.Holds(t.Context(), d, sh); err != nil {
		t.Error(err)
	}
}

// A checksum of other data makes a shard that is damaged from the beginning,
// and is mended by putting it again.
func TestSumOfOtherData(t *testing.T) {
	d := openDisk(t, crashConfig(storagetest.NewFS(), filepath.Join(fast(t), "index.db")))
	sh := storagetest.Shard(1, 1, 1, 1, 5000)
	sh.Sum = new(storage.Sum)
	_, _ = sh.Sum.Write(make([]byte, len(sh.Data)))
	if err := d.PutShard(t.Context(), sh); err != nil {
		t.Fatal(err)
	}
	if err := d.Verify(t.Context(), sh.Key); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("verify: %v, want ErrCorrupt", err)
	}
	sh.Sum = nil
	if err := d.PutShard(t.Context(), sh); err != nil {
		t.Fatal(err)
	}
	if err := storagetest.Holds(t.Context(), d, sh); err != nil {
		t.Error(err)
	}
}

// A rotten header in the middle costs its own record and no other.
func TestRebuildPassesOverRot(t *testing.T) {
	fs, cfg, shards := rotten(t)
	fs.Spoil(firstLog, offsetOf(t, fs, shards[1].Key.Segment[:]))
	if err := os.Remove(cfg.Index); err != nil {
		t.Fatal(err)
	}
	d := openDisk(t, cfg)
	for i, sh := range shards {
		err := storagetest.Holds(t.Context(), d, sh)
		if i == 1 != errors.Is(err, storage.ErrNotFound) || i != 1 && err != nil {
			t.Errorf("shard %d: %v", i, err)
		}
	}
	if err := d.PutShard(t.Context(), shards[1]); err != nil {
		t.Fatal(err)
	}
	if err := storagetest.Holds(t.Context(), d, shards[1]); err != nil {
		t.Error(err)
	}
}

// A peer that knows how records look puts one into its data. When the header
// before that data rots, the search for the next record must not accept it.
func TestForgedRecord(t *testing.T) {
	fs, cfg, shards := rotten(t)
	f, err := fs.Open(firstLog)
	if err != nil {
		t.Fatal(err)
	}
	const header = 144
	record := make([]byte, header+600) // header, descriptor, the first bytes of the outboard
	if _, err := f.ReadAt(record, offsetOf(t, fs, shards[0].Key.Segment[:])-64); err != nil {
		t.Fatal(err)
	}
	d := openDisk(t, cfg)
	evil := storagetest.Shard(1, 2, 9, 1, 8000)
	for at := 0; at+len(record) < len(evil.Data); at += 1000 {
		copy(evil.Data[at:], record)
	}
	if err := d.DeleteShard(t.Context(), shards[0].Key); err != nil { // what it would bring back
		t.Fatal(err)
	}
	if err := d.PutShard(t.Context(), evil); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	fs.Spoil(firstLog, offsetOf(t, fs, evil.Key.Segment[:]))
	if err := os.Remove(cfg.Index); err != nil {
		t.Fatal(err)
	}
	d = openDisk(t, cfg)
	if u := d.Usage(); u.Shards != 2 {
		t.Errorf("%d shards, want 2", u.Shards)
	}
	if _, err := d.OpenShard(t.Context(), shards[0].Key); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a deleted shard came back: %v", err)
	}
}

// A damaged fact stands as an error in its place, and can be put again.
func TestRottenFact(t *testing.T) {
	fs := storagetest.NewFS()
	d := openDisk(t, crashConfig(fs, filepath.Join(fast(t), "index.db")))
	facts := []storage.Fact{storagetest.Fact(1, 1, 100), storagetest.Fact(1, 2, 100), storagetest.Fact(1, 3, 100)}
	if err := d.PutFact(t.Context(), facts...); err != nil {
		t.Fatal(err)
	}
	fs.Spoil(firstLog, offsetOf(t, fs, facts[1].Bytes))
	count := func() (whole, damaged int) {
		for f, err := range d.Facts(t.Context(), storagetest.Group(1)) {
			switch {
			case err == nil:
				whole++
			case errors.Is(err, storage.ErrCorrupt) && f.Kind == facts[1].Kind:
				damaged++
			default:
				t.Error(err)
			}
		}
		return whole, damaged
	}
	if w, n := count(); w != 2 || n != 1 {
		t.Errorf("%d whole and %d damaged facts, want 2 and 1", w, n)
	}
	if err := d.PutFact(t.Context(), facts...); err != nil {
		t.Fatal(err)
	}
	if w, n := count(); w != 3 || n != 0 {
		t.Errorf("after mending %d whole and %d damaged facts, want 3 and 0", w, n)
	}
}
