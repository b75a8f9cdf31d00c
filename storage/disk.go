package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

const (
	// saveEvery is how often the index is brought up to date with the logs.
	saveEvery = time.Second

	// askEvery is how many of these pass before an idle store checks whether its
	// disk is there and how much room it has.
	askEvery = 10

	// trimEvery is how many of these pass before memory with pages of the index
	// is released: those that a walk over the whole index reads would stay there.
	trimEvery = 30
)

// Disk is a Store in a folder.
type Disk struct {
	cfg     Config
	key     storeKey
	limit   int64 // bytes of logs; 0: none
	logSize int64
	lock    io.Closer
	logs    *logSet
	index   *index
	space   *space
	damage  damage

	requests  chan *request
	committed chan struct{} // closed when the committer has ended
	closing   sync.RWMutex  // held for reading while a request is sent
	closed    bool

	active *activeLog // the committer's
	torn   *tail      // the committer's: how the active log ends, if another must be begun before anything is written
	seen   time.Time  // the committer's: when the sentinel was last there

	kick       chan struct{}
	compacting chan struct{} // full while somebody compacts
	stuck      map[uint64]bool
	stop       context.CancelFunc
	loops      sync.WaitGroup

	stateMu sync.Mutex // guards what follows
	failed  error
	missing error
	spoilt  bool // the index must be made again
}

var _ Store = (*Disk)(nil)

// Open opens the store in a folder, or makes one there. It reads what the index
// lacks of the logs: after a crash the records of the last second, without an
// index the headers of all records. Errors: ErrForeign, ErrSuspended, ErrInUse,
// ErrFailed.
func Open(cfg Config) (*Disk, error) {
	cfg = cfg.withDefaults()
	d, err := open(cfg)
	if unreadable(err) {
		cfg.Log.Warn("making the index again", "path", cfg.Index, "why", err)
		d, err = open(cfg) // open removed it
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Dir, err)
	}
	return d, nil
}

func open(cfg Config) (d *Disk, err error) {
	if strings.ContainsAny(cfg.Owner, "\r\n") || len(cfg.Owner) > sentinelMax/2 {
		return nil, fmt.Errorf("owner %q: %w", cfg.Owner, ErrLimit)
	}
	if err := folders(&cfg); err != nil {
		return nil, err
	}
	lock, err := cfg.FS.Lock(filepath.Join(cfg.Dir, lockName))
	if err != nil {
		return nil, err
	}
	d = &Disk{
		cfg: cfg, lock: lock, logs: newLogSet(cfg.FS, filepath.Join(cfg.Dir, logsName)),
		requests: make(chan *request, queueLength), committed: make(chan struct{}),
		kick: make(chan struct{}, 1), compacting: make(chan struct{}, 1), stuck: make(map[uint64]bool),
	}
	d.limit, d.logSize = sizes(cfg.Quota)
	owed, err := d.load()
	if err != nil {
		d.spoilt = unreadable(err)
		return nil, errors.Join(err, d.release())
	}
	d.start()
	if len(owed) > 0 {
		err = d.submit(context.Background(), planKills(owed))
		if errors.Is(err, ErrFull) {
			err = nil // the kills only help a later replay; what is stored must be served
		}
	}
	if err == nil {
		if err = d.save(); err != nil && d.failure() == nil {
			cfg.Log.Warn("the index cannot follow; it is kept in memory", "err", err)
			err = nil // as on a full disk: what is stored must be served all the same
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.wake()
	return d, nil
}

// unreadable reports whether an error is about the index alone, which can be made
// again from the logs.
func unreadable(err error) bool { return errors.Is(err, kv.ErrCorrupt) || errors.Is(err, errIndex) }

// load reads all that an earlier run left.
func (d *Disk) load() (owed []placed, err error) {
	s, err := claim(&d.cfg)
	if err != nil {
		return nil, err
	}
	d.key = s.key
	for _, dir := range []string{d.cfg.Dir, d.logs.dir} {
		if err := sweep(&d.cfg, dir); err != nil {
			return nil, err
		}
	}
	// An earlier run may have failed to make these names durable.
	for _, dir := range []string{d.cfg.Dir, d.logs.dir} {
		if err := d.cfg.FS.SyncDir(dir); err != nil {
			return nil, err
		}
	}
	if d.space, err = newSpace(&d.cfg); err != nil {
		return nil, err
	}
	ids, err := logNumbers(d.cfg.FS, d.logs.dir)
	if err != nil {
		return nil, err
	}
	if err := d.openIndex(ids); err != nil {
		return nil, err
	}
	d.seen = d.cfg.Now()
	return d.replay(ids)
}

func (d *Disk) start() {
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	go d.commitLoop()
	d.loops.Go(func() { d.compactLoop(ctx) })
	d.loops.Go(func() { d.saveLoop(ctx) })
}

// saveLoop keeps the index up to date with the logs.
func (d *Disk) saveLoop(ctx context.Context) {
	t := time.NewTicker(saveEvery)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if d.failure() != nil {
			continue
		}
		if err := d.save(); err != nil && d.failure() == nil {
			d.cfg.Log.Warn("the index cannot follow; it is kept in memory", "err", err)
		}
		if n%askEvery == 0 {
			d.look()
		}
		if n%trimEvery == 0 {
			if err := d.index.db.Trim(); err != nil {
				d.cfg.Log.Debug("the index's pages stay in memory", "err", err)
			}
		}
	}
}

// look checks whether the disk is there, and how much room it has: a store that
// is only read would not notice otherwise.
func (d *Disk) look() {
	gone := present(&d.cfg)
	d.suspend(gone)
	if gone != nil {
		return
	}
	if err := d.space.ask(); err != nil {
		d.cfg.Log.Warn("cannot ask for free space", "err", err)
	}
}

// Usage implements Store.
func (d *Disk) Usage() Usage {
	x := d.index
	x.mu.RLock()
	u := Usage{Donated: d.cfg.Quota, Used: x.live, Reserved: d.space.reserve, Shards: x.shards, Groups: x.groups}
	x.mu.RUnlock()
	u.Free = max(0, d.space.left())
	if d.limit > 0 {
		u.Free = max(0, min(u.Free, d.limit-u.Used))
	}
	if u.Err = d.usable(); u.Err == nil {
		u.Err = errors.Join(d.failure(), d.suspended())
	}
	if u.Err != nil {
		u.Free = 0
	}
	return u
}

// usable returns ErrClosed after Close.
func (d *Disk) usable() error {
	d.closing.RLock()
	defer d.closing.RUnlock()
	if d.closed {
		return ErrClosed
	}
	return nil
}

// Close implements Store.
func (d *Disk) Close() error {
	d.closing.Lock()
	if d.closed {
		d.closing.Unlock()
		return nil
	}
	d.closed = true
	close(d.requests)
	d.closing.Unlock()
	<-d.committed
	d.stop()
	d.logs.leave()
	d.loops.Wait()
	var err error
	if d.failure() == nil {
		_ = d.active.Truncate(d.active.end) // gives back what was reserved; cuts no data
		err = d.save()
	}
	d.active.done()
	if err = errors.Join(err, d.release()); err != nil {
		return fmt.Errorf("close store %s: %w", d.cfg.Dir, err)
	}
	return nil
}

// release closes all files.
func (d *Disk) release() error {
	err := d.logs.close()
	if d.index != nil {
		err = errors.Join(err, d.index.db.Close())
	}
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	if d.spoilt {
		err = errors.Join(err, d.dropIndex())
	}
	return errors.Join(err, d.lock.Close())
}

// PutShard implements Store.
func (d *Disk) PutShard(ctx context.Context, s *Shard) error {
	err := s.check()
	if err == nil {
		h := shardHeader(s, d.cfg.Now())
		err = d.submitForRoom(ctx, d.planShard(s, &h))
	}
	if err != nil {
		return fmt.Errorf("put shard %s: %w", s.Key, err)
	}
	return nil
}

// DeleteShard implements Store.
func (d *Disk) DeleteShard(ctx context.Context, key ShardKey) error {
	h := header{kind: shardRecord, slot: key.Slot, id: key.Segment}
	if err := d.submit(ctx, planDelete(h)); err != nil {
		return fmt.Errorf("delete shard %s: %w", key, err)
	}
	return nil
}

// PutFact implements Store.
func (d *Disk) PutFact(ctx context.Context, facts ...Fact) error {
	hs := make([]header, len(facts))
	for i := range facts {
		if len(facts[i].Bytes) > MaxFact {
			return fmt.Errorf("put facts: %d bytes: %w", len(facts[i].Bytes), ErrLimit)
		}
		hs[i] = factHeader(&facts[i], facts[i].ID(), d.cfg.Now())
	}
	if err := d.submitForRoom(ctx, d.planFacts(facts, hs)); err != nil {
		return fmt.Errorf("put facts: %w", err)
	}
	return nil
}

// DeleteFact implements Store.
func (d *Disk) DeleteFact(ctx context.Context, g protocol.GroupID, id protocol.Hash) error {
	h := header{kind: factRecord, group: g, id: id}
	if err := d.submit(ctx, planDelete(h)); err != nil {
		return fmt.Errorf("delete fact %s: %w", id, err)
	}
	return nil
}
