package storage_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

const (
	crashQuota = 2 << 20 // logs of 64 KiB: a short run makes and compacts several
	writers    = 3
	steps      = 48 // of each writer
	perWriter  = 15 // shards, and facts
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

// clone returns a copy to go on with.
func (l *ledger) clone() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &ledger{shards: maps.Clone(l.shards), facts: maps.Clone(l.facts), size: maps.Clone(l.size)}
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

// work puts, deletes and puts again in several goroutines, until all is done or
// the store fails, then compacts what the deletes left. It notes in l what was
// promised. It returns an error when something is acknowledged after a failed
// sync.
func work(d *storage.Disk, fs *storagetest.FS, l *ledger, seed uint64) error {
	var lies errgroup.Group
	for w := range writers {
		lies.Go(func() error {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for i := range steps {
				n := writers*rng.IntN(perWriter) + w // no two writers meet
				verbs := phases[i*len(phases)/steps]
				verb := verbs[rng.IntN(len(verbs))]
				if verb == 's' {
					_ = d.Save() // so that the index that is kept is a newer one
					continue
				}
				broken := fs.SyncFailed() && noticed(d)
				if err := step(d, l, verb, n); err != nil {
					return nil //nolint:nilerr // the store may fail; it may not lie
				} else if broken {
					return errLie
				}
			}
			return nil
		})
	}
	lie := lies.Wait()
	_ = d.Quiesce() // on a disk that fails, as far as it goes
	return lie
}

var errLie = errors.New("acknowledged after a failed sync")

// noticed waits until a store knows of the sync that failed under it: the call
// that failed returns in another goroutine.
func noticed(d *storage.Disk) bool {
	for range 1 << 20 {
		if d.Usage().Err != nil {
			break
		}
		runtime.Gosched()
	}
	return true
}

// phases are what writers do: P puts a shard, D deletes one, p and d do so with a
// fact, s saves the index. The deletes leave logs that are worth compacting, and
// the puts after them run while the compactor does.
var phases = []string{"PPPPPPpps", "DDDDDDdds", "DDDDDDdds", "PPPPDpds"}

func step(s storage.Store, l *ledger, verb byte, n int) error {
	ctx := context.Background()
	sh, f := crashShard(n), crashFact(n)
	switch verb {
	case 'P':
		l.shard(sh, unknown)
		if err := s.PutShard(ctx, sh); err != nil {
			return err
		}
		l.shard(sh, held)
	case 'D':
		l.shard(sh, unknown)
		if err := s.DeleteShard(ctx, sh.Key); err != nil {
			return err
		}
		l.shard(sh, absent)
	case 'p':
		l.fact(n, unknown)
		if err := s.PutFact(ctx, f); err != nil {
			return err
		}
		l.fact(n, held)
	case 'd':
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
	for n := range perWriter * writers {
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
	for n := range perWriter * writers {
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
