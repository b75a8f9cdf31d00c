package storage

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cairnstore/cairn/storage/kv"
)

// table keeps ordered keys in a kv.DB, but lets changes wait in memory until a
// flush commits many of them together: a commit costs the disk two syncs, however
// much it holds.
//
// A key is 32 bytes (a segment, a group) and a rest. Waiting changes can be found
// by the 32 bytes alone, too.
type table struct {
	db *kv.DB

	// mu guards what follows. A change to several keys that belong together holds
	// it from beginning to end.
	mu       sync.RWMutex
	waiting  layer
	flushing layer // nil when no flush is under way
	notes    map[string]map[string][]byte

	flushMu sync.Mutex // one flush at a time
}

// layer is a set of changes: bucket → first 32 bytes of the key → rest → value,
// nil for a deletion.
type layer struct {
	keys map[string]map[[32]byte]map[string][]byte
	n    int
}

func newLayer() layer { return layer{keys: make(map[string]map[[32]byte]map[string][]byte)} }

func newTable(db *kv.DB) *table { return &table{db: db, waiting: newLayer()} }

// row is one key and its value.
type row struct{ key, value []byte }

func (l *layer) set(bucket string, key, value []byte) {
	heads := l.keys[bucket]
	if heads == nil {
		heads = make(map[[32]byte]map[string][]byte)
		l.keys[bucket] = heads
	}
	head := [32]byte(key)
	rests := heads[head]
	if rests == nil {
		rests = make(map[string][]byte, 1)
		heads[head] = rests
	}
	before := len(rests)
	rests[string(key[32:])] = value
	l.n += len(rests) - before
}

// get returns the value, and whether the layer says anything of the key.
func (l *layer) get(bucket string, key []byte) (value []byte, known bool) {
	value, known = l.keys[bucket][[32]byte(key)][string(key[32:])]
	return value, known
}

// set changes a key; nil deletes it. The caller holds mu.
func (t *table) set(bucket string, key, value []byte) { t.waiting.set(bucket, key, value) }

// get returns a key's value, nil if there is none. The caller holds mu.
func (t *table) get(bucket string, key []byte) (value []byte, err error) {
	if v, known := t.waiting.get(bucket, key); known {
		return v, nil
	}
	if v, known := t.flushing.get(bucket, key); known {
		return v, nil
	}
	err = t.db.View(func(tx *kv.Tx) error {
		value, _ = tx.Get(bucket, key)
		return nil
	})
	return value, err
}

// read is get for callers that do not hold mu.
func (t *table) read(bucket string, key []byte) ([]byte, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.get(bucket, key)
}

// scan returns the rows whose key begins with the 32 bytes of head, in order.
func (t *table) scan(bucket string, head [32]byte) (rows []row, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	changed := t.changed(bucket, head)
	err = t.db.View(func(tx *kv.Tx) error {
		for k, v := range tx.Scan(bucket, head[:]) {
			if _, known := changed[string(k[32:])]; !known {
				rows = append(rows, row{k, v})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	flushed := len(rows)
	for rest, v := range changed {
		if v != nil {
			rows = append(rows, row{append(head[:len(head):len(head)], rest...), v})
		}
	}
	if len(rows) > flushed {
		slices.SortFunc(rows, func(a, b row) int { return bytes.Compare(a.key, b.key) })
	}
	return rows, nil
}

// changed returns what the layers say of the keys that begin with head. The
// caller holds mu, and must not change the result.
func (t *table) changed(bucket string, head [32]byte) map[string][]byte {
	flushing, waiting := t.flushing.keys[bucket][head], t.waiting.keys[bucket][head]
	switch {
	case len(flushing) == 0:
		return waiting
	case len(waiting) == 0:
		return flushing
	}
	both := maps.Clone(flushing)
	maps.Copy(both, waiting)
	return both
}

// page returns up to limit keys of a bucket whose keys are 32 bytes long, in
// order, beginning with the first that is not below from.
func (t *table) page(bucket string, from []byte, limit int) ([][32]byte, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	alive := make(map[[32]byte]bool)
	for _, l := range []layer{t.flushing, t.waiting} {
		for head, rests := range l.keys[bucket] {
			if bytes.Compare(head[:], from) >= 0 {
				alive[head] = rests[""] != nil
			}
		}
	}
	var keys [][32]byte
	err := t.db.View(func(tx *kv.Tx) error {
		for k := range tx.ScanFrom(bucket, nil, from) {
			if live, known := alive[[32]byte(k)]; !known || live {
				keys = append(keys, [32]byte(k))
			}
			delete(alive, [32]byte(k))
			if len(keys) == limit {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for k, live := range alive {
		if live {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	return keys[:min(len(keys), limit)], nil
}

// flush commits what waits. notes returns what is to be committed with it, in
// buckets of its own; it is called while nothing can change. After an error
// nothing is lost: the next flush tries again.
func (t *table) flush(notes func() map[string]map[string][]byte) error {
	t.flushMu.Lock()
	defer t.flushMu.Unlock()
	t.mu.Lock()
	if t.flushing.keys == nil {
		t.flushing, t.waiting, t.notes = t.waiting, newLayer(), notes()
	}
	t.mu.Unlock()
	if t.flushing.n > 0 || len(t.notes) > 0 {
		if err := t.db.Update(t.commit); err != nil {
			return fmt.Errorf("flush index: %w", err)
		}
	}
	t.mu.Lock()
	t.flushing, t.notes = layer{}, nil
	t.mu.Unlock()
	return nil
}

// commit writes the layer in order of keys, which fills neighbouring pages in
// turn.
func (t *table) commit(tx *kv.Tx) error {
	for _, bucket := range slices.Sorted(maps.Keys(t.flushing.keys)) {
		heads := t.flushing.keys[bucket]
		for _, head := range slices.SortedFunc(maps.Keys(heads), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }) {
			for rest, v := range heads[head] {
				if err := change(tx, bucket, append(head[:len(head):len(head)], rest...), v); err != nil {
					return err
				}
			}
		}
	}
	for _, bucket := range slices.SortedFunc(maps.Keys(t.notes), strings.Compare) {
		for k, v := range t.notes[bucket] {
			if err := change(tx, bucket, []byte(k), v); err != nil {
				return err
			}
		}
	}
	return nil
}

func change(tx *kv.Tx, bucket string, key, value []byte) error {
	if value == nil {
		return tx.Delete(bucket, key)
	}
	return tx.Put(bucket, key, value)
}

// backlog returns how many changes wait.
func (t *table) backlog() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.waiting.n
}
