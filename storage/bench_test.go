package storage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

const benchWriters = 16

var benchSizes = []int{64 << 10, 1 << 20, 4 << 20}

func benchKey(n int64) storage.ShardKey {
	return storage.ShardKey{Segment: protocol.SegmentID(protocol.Sum(fmt.Appendf(nil, "%d", n)))}
}

// parallel runs do b.N times in benchWriters goroutines.
func parallel(b *testing.B, do func(n int64) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range benchWriters {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := do(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}

func BenchmarkPutShard(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			d := openDisk(b, storage.Config{Dir: b.TempDir(), Owner: "bench", Reserve: -1})
			proto := storagetest.Shard(1, 1, 1, 1, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			parallel(b, func(n int64) error {
				sh := *proto
				sh.Key = benchKey(n)
				return d.PutShard(b.Context(), &sh)
			})
		})
	}
}

// BenchmarkRawAppend is the yardstick: the same writers append the same bytes to
// one file and share its syncs, without an index to find them again.
func BenchmarkRawAppend(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			f, err := storage.OS{}.Create(filepath.Join(b.TempDir(), "raw"))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			data := storagetest.Shard(1, 1, 1, 1, size).Data
			var mu, syncing sync.Mutex
			var end, written, synced int64
			b.SetBytes(int64(size))
			parallel(b, func(int64) error {
				mu.Lock()
				err := f.WriteVec([][]byte{data}, end)
				end += int64(size)
				written++
				mine := written
				mu.Unlock()
				if err != nil {
					return err
				}
				syncing.Lock()
				defer syncing.Unlock()
				if synced >= mine {
					return nil
				}
				mu.Lock()
				upto := written
				mu.Unlock()
				err = f.Sync()
				synced = upto
				return err
			})
		})
	}
}

// BenchmarkReadShard reads whole shards of 256 KiB and their descriptors.
func BenchmarkReadShard(b *testing.B) {
	const size, count = 256 << 10, 64
	d := openDisk(b, storage.Config{Dir: b.TempDir(), Owner: "bench", Reserve: -1})
	proto := storagetest.Shard(1, 1, 1, 1, size)
	for n := range int64(count) {
		sh := *proto
		sh.Key = benchKey(n)
		if err := d.PutShard(b.Context(), &sh); err != nil {
			b.Fatal(err)
		}
	}
	buf := make([]byte, size)
	b.SetBytes(size)
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		r, err := d.OpenShard(b.Context(), benchKey(n%count))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.ReadAt(buf, 0); err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

// BenchmarkFactInfos lists a group's 1,000 facts, half of which wait for the
// index, as they do after a put.
func BenchmarkFactInfos(b *testing.B) {
	const count = 1000
	d := openDisk(b, storage.Config{Dir: b.TempDir(), Owner: "bench", Reserve: -1})
	put := func(from, to int) {
		var facts []storage.Fact
		for n := from; n < to; n++ {
			facts = append(facts, storagetest.Fact(1, n, 100))
		}
		if err := d.PutFact(b.Context(), facts...); err != nil {
			b.Fatal(err)
		}
	}
	list := func(b *testing.B, want int) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for _, err := range d.FactInfos(b.Context(), storagetest.Group(1)) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != want {
				b.Fatalf("%d facts", n)
			}
		}
	}
	put(0, count/2)
	if err := d.Save(); err != nil {
		b.Fatal(err)
	}
	b.Run("flushed", func(b *testing.B) { list(b, count/2) })
	put(count/2, count)
	b.Run("half", func(b *testing.B) { list(b, count) })
}

// BenchmarkOpen opens a store of 100,000 small shards in 1,000 groups, with
// its index and without.
func BenchmarkOpen(b *testing.B) {
	const count, groups = 100_000, 1000
	cfg := storage.Config{Dir: b.TempDir(), Owner: "bench", Reserve: -1}
	d := openDisk(b, cfg)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for n := next.Add(1); n <= count; n = next.Add(1) {
				sh := &storage.Shard{
					Key: benchKey(n), Group: storagetest.Group(int(n % groups)),
					Descriptor: make([]byte, 500), Data: make([]byte, 64),
				}
				if err := d.PutShard(b.Context(), sh); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
	reopen := func(b *testing.B, before func() error) {
		for b.Loop() {
			if err := before(); err != nil {
				b.Fatal(err)
			}
			d, err := storage.Open(cfg)
			if err != nil {
				b.Fatal(err)
			}
			if u := d.Usage(); u.Shards != count || u.Groups != groups {
				b.Fatalf("%+v", u)
			}
			if err := d.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("index", func(b *testing.B) { reopen(b, func() error { return nil }) })
	b.Run("no-index", func(b *testing.B) {
		reopen(b, func() error { return os.Remove(filepath.Join(cfg.Dir, "index.db")) })
	})
}
