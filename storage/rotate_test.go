package storage_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

// A new log fails when its name is to be made durable, but its file is there. A
// smaller shard in the same batch would still fit into the log before it. That
// log must not grow any more, since the next Open believes all logs but the last
// to be synced.
func TestFailedRotation(t *testing.T) {
	fs := storagetest.NewFS()
	d := openDisk(t, crashConfig(fs, filepath.Join(fast(t), "index.db")))
	blocked, queued := make(chan struct{}), make(chan struct{})
	var once sync.Once
	failedAt := -1
	var late []storagetest.Op
	fs.Inject(func(op storagetest.Op) error {
		switch {
		case failedAt < 0 && op.Kind == storagetest.OpWrite:
			once.Do(func() { close(blocked) })
			<-queued // the first put is being written while the others come
		case failedAt < 0 && op.Kind == storagetest.OpSyncDir:
			failedAt = op.Index
			return storagetest.ErrIO
		case failedAt >= 0:
			late = append(late, op)
		}
		return nil
	})
	var wg sync.WaitGroup
	results := make([]error, 3)
	for i, size := range []int{30_000, 40_000, 100} { // logs are 64 KiB
		wg.Go(func() {
			results[i] = d.PutShard(t.Context(), storagetest.Shard(1, 1, i+1, 1, size))
		})
		if i == 0 {
			<-blocked
		}
		for d.Queued() < i {
			runtime.Gosched()
		}
	}
	close(queued)
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if results[0] != nil {
		t.Error(results[0])
	}
	for i, err := range results[1:] {
		if !errors.Is(err, storage.ErrFailed) {
			t.Errorf("put %d: %v, want ErrFailed", i+1, err)
		}
	}
	for _, op := range late {
		t.Errorf("%s %s after the failure", op.Kind, op.Name)
	}
}
