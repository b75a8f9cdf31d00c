package p2p

import (
	"context"
	"strings"
	"sync"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

const (
	// maxRecordBytes bounds the provider records kept for the network.
	maxRecordBytes = 256 << 20
	// recordOverhead is what the maps cost for each record, in bytes.
	recordOverhead = 192
	// evictShare is the part of the largest contributor's records that makes
	// room at a time: 1 in so many.
	evictShare = 16
)

// records keeps the DHT's provider records in memory, by key and by peer:
// with the map that kad-dht brings, each lookup walks all records, 80 ms with
// 40,000 of them. Records are announced again every 22 hours, so a restart
// needs no disk.
//
// When they outgrow their bound, the peer with the most records loses some.
type records struct {
	most int // bytes

	mu     sync.RWMutex
	byKey  map[string]map[string][]byte   // provider key → peer → time; guarded by mu
	byPeer map[string]map[string]struct{} // peer → provider keys; guarded by mu
	bytes  int                            // guarded by mu
}

var _ ds.Batching = (*records)(nil)

func newRecords(most int) *records {
	return &records{most: most, byKey: make(map[string]map[string][]byte), byPeer: make(map[string]map[string]struct{})}
}

// split parts /providers/KEY/PEER into its key and its peer.
func split(k ds.Key) (key, peer string) {
	s := k.String()
	i := strings.LastIndexByte(s, '/')
	return s[:max(i, 0)], s[i+1:]
}

func cost(key, peer string, value []byte) int {
	return len(key) + 2*len(peer) + len(value) + recordOverhead
}

// Put stores one record.
func (r *records) Put(_ context.Context, k ds.Key, value []byte) error {
	key, peer := split(k)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(key, peer)
	need := cost(key, peer, value)
	for r.bytes+need > r.most && len(r.byPeer) > 0 {
		r.evict()
	}
	if r.byKey[key] == nil {
		r.byKey[key] = make(map[string][]byte)
	}
	if r.byPeer[peer] == nil {
		r.byPeer[peer] = make(map[string]struct{})
	}
	r.byKey[key][peer] = value
	r.byPeer[peer][key] = struct{}{}
	r.bytes += need
	return nil
}

// evict makes room at the expense of the largest contributor.
func (r *records) evict() {
	var largest string
	for peer, keys := range r.byPeer {
		if len(keys) > len(r.byPeer[largest]) {
			largest = peer
		}
	}
	left := len(r.byPeer[largest])/evictShare + 1
	for key := range r.byPeer[largest] {
		if left--; left < 0 {
			return
		}
		r.remove(key, largest)
	}
}

// remove forgets a record. The caller holds mu.
func (r *records) remove(key, peer string) {
	value, ok := r.byKey[key][peer]
	if !ok {
		return
	}
	r.bytes -= cost(key, peer, value)
	if delete(r.byKey[key], peer); len(r.byKey[key]) == 0 {
		delete(r.byKey, key)
	}
	if delete(r.byPeer[peer], key); len(r.byPeer[peer]) == 0 {
		delete(r.byPeer, peer)
	}
}

// Delete forgets one record.
func (r *records) Delete(_ context.Context, k ds.Key) error {
	key, peer := split(k)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(key, peer)
	return nil
}

// Get returns one record, or ds.ErrNotFound.
func (r *records) Get(_ context.Context, k ds.Key) ([]byte, error) {
	key, peer := split(k)
	r.mu.RLock()
	defer r.mu.RUnlock()
	if v, ok := r.byKey[key][peer]; ok {
		return v, nil
	}
	return nil, ds.ErrNotFound
}

// Has reports whether a record is there.
func (r *records) Has(ctx context.Context, k ds.Key) (bool, error) {
	_, err := r.Get(ctx, k)
	return err == nil, nil
}

// GetSize returns the length of a record in bytes, or ds.ErrNotFound.
func (r *records) GetSize(ctx context.Context, k ds.Key) (int, error) {
	v, err := r.Get(ctx, k)
	if err != nil {
		return -1, err
	}
	return len(v), nil
}

// Query returns a snapshot. That of one provider key costs as much as the key
// has records.
func (r *records) Query(_ context.Context, q query.Query) (query.Results, error) {
	var all []query.Entry
	add := func(key string, peers map[string][]byte) {
		for peer, v := range peers {
			all = append(all, query.Entry{Key: key + "/" + peer, Value: v, Size: len(v)})
		}
	}
	r.mu.RLock()
	if peers, ok := r.byKey[q.Prefix]; ok {
		add(q.Prefix, peers)
	} else if strings.Count(q.Prefix, "/") < 2 || strings.HasSuffix(q.Prefix, "/") {
		for key, peers := range r.byKey {
			add(key, peers)
		}
	}
	r.mu.RUnlock()
	return query.NaiveQueryApply(q, query.ResultsWithEntries(q, all)), nil
}

// Batch returns a batch; nothing is gained by it but kad-dht wants one.
func (r *records) Batch(context.Context) (ds.Batch, error) { return ds.NewBasicBatch(r), nil }

// Sync does nothing: there is no disk.
func (r *records) Sync(context.Context, ds.Key) error { return nil }

// Close does nothing: there is no disk.
func (r *records) Close() error { return nil }

// noCache stands in for kad-dht's cache of provider sets, which would answer,
// and grow, beside the bounds that records keeps.
type noCache struct{}

func (noCache) Add(_, _ any) bool              { return false }
func (noCache) Get(any) (any, bool)            { return nil, false }
func (noCache) Contains(any) bool              { return false }
func (noCache) Peek(any) (any, bool)           { return nil, false }
func (noCache) Remove(any) bool                { return false }
func (noCache) RemoveOldest() (any, any, bool) { return nil, nil, false }
func (noCache) GetOldest() (any, any, bool)    { return nil, nil, false }
func (noCache) Keys() []any                    { return nil }
func (noCache) Len() int                       { return 0 }
func (noCache) Purge()                         {}
func (noCache) Resize(int) int                 { return 0 }
