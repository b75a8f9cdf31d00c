package p2p

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	kad "github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"

	"github.com/cairnstore/cairn/protocol"
)

// records keeps the DHT's provider records in memory, as the datastore that
// kad-dht wants for them: kad-dht's own map walks all records at each lookup,
// 80 ms with 40,000 of them. Records are announced again every 22 hours, so
// they need no disk to survive a restart.
//
// A datastore is not told which peer wrote, nor from where, and kad-dht holds
// back up to 256 records that it answers from. So guard records what others
// announce before kad-dht sees it, and redirects kad-dht's own copy to a key that
// nobody can guess.
type records struct {
	sink []byte // that key
	now  func() time.Time
	pace *protocol.Pace[peer.ID] // of announcing

	mu     sync.Mutex
	claims *claims // guarded by mu
}

var _ ds.Batching = (*records)(nil)

func newRecords(self peer.ID, most int, now func() time.Time) *records {
	r := &records{
		sink: hashOf(protocol.Key{}), now: now,
		claims: newClaims(string(self), most), pace: protocol.NewPace[peer.ID](announceRate, announceBurst, maxPaced),
	}
	_, _ = rand.Read(r.sink[len(r.sink)-32:]) // never fails
	return r
}

// provide records what a peer announces from an origin. It reports false if the
// peer has had its share of announcing.
func (r *records) provide(key []byte, p peer.ID, at origin) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.claims.fresh(string(key), string(p), at, now) {
		return true
	}
	if !r.pace.Take(p, 1, now) {
		return false
	}
	r.claims.add(string(key), string(p), at, now)
	return true
}

// isGroupKey reports whether a key of the DHT can be that of a group.
func isGroupKey(key []byte) bool {
	return len(key) == 34 && key[0] == multihash.SHA2_256 && key[1] == 32
}

var errRecordKey = errors.New("not the name of a provider record")

// split parts /providers/KEY/PEER into its key and its peer. peer is empty if k
// names only a key.
func split(k string) (key, peer string, err error) {
	rest, ok := strings.CutPrefix(k, kad.ProvidersKeyPrefix)
	if !ok {
		return "", "", errRecordKey
	}
	key32, peer32, _ := strings.Cut(rest, "/")
	rawKey, err1 := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key32)
	rawPeer, err2 := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(peer32)
	if err1 != nil || err2 != nil || len(rawKey) == 0 {
		return "", "", errRecordKey
	}
	return string(rawKey), string(rawPeer), nil
}

// name is the reverse of split.
func name(key, peer string) string {
	enc := base32.StdEncoding.WithPadding(base32.NoPadding)
	return kad.ProvidersKeyPrefix + enc.EncodeToString([]byte(key)) + "/" + enc.EncodeToString([]byte(peer))
}

// stamp is how kad-dht writes the time of a record.
func stamp(t time.Time) []byte { return binary.AppendVarint(nil, t.UnixNano()) }

// Put keeps a record that kad-dht writes by itself: one of this peer's own.
func (r *records) Put(_ context.Context, k ds.Key, value []byte) error {
	key, peer, err := split(k.String())
	nanos, n := binary.Varint(value)
	if err != nil || peer == "" || n <= 0 {
		return errRecordKey
	}
	if key == string(r.sink) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims.add(key, peer, origin{}, time.Unix(0, nanos))
	return nil
}

// Delete forgets one record.
func (r *records) Delete(_ context.Context, k ds.Key) error {
	key, peer, err := split(k.String())
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.claims.find(key, peer); v != nil {
		r.claims.remove(v)
	}
	return nil
}

// Get returns one record, or ds.ErrNotFound.
func (r *records) Get(_ context.Context, k ds.Key) ([]byte, error) {
	key, peer, err := split(k.String())
	if err != nil {
		return nil, ds.ErrNotFound
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.claims.find(key, peer); v != nil {
		return stamp(v.at), nil
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

// Query returns a snapshot of one key's records, at a cost in proportion to their
// number, or of all records. Entries are made as they are read.
func (r *records) Query(_ context.Context, q query.Query) (query.Results, error) {
	all := r.snapshot(q.Prefix)
	next := func() (query.Result, bool) {
		if len(all) == 0 {
			return query.Result{}, false
		}
		v := all[0]
		all = all[1:]
		value := stamp(v.at)
		return query.Result{Entry: query.Entry{Key: name(v.key, v.peer), Value: value, Size: len(value)}}, true
	}
	return query.NaiveQueryApply(q, query.ResultsFromIterator(q, query.Iterator{Next: next})), nil
}

// told is a claim as it was at some moment.
type told struct {
	key, peer string
	at        time.Time
}

func (r *records) snapshot(prefix string) []told {
	key, _, err := split(prefix)
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []told
	add := func(list []*claim) {
		for _, v := range list {
			out = append(out, told{v.key, v.by.peer, v.at})
		}
	}
	if err == nil {
		add(r.claims.of(key))
		return out
	}
	for _, list := range r.claims.keys {
		add(list)
	}
	return out
}

// Batch returns a batch; nothing is gained by it but kad-dht wants one.
func (r *records) Batch(context.Context) (ds.Batch, error) { return ds.NewBasicBatch(r), nil }

// Sync does nothing: there is no disk.
func (r *records) Sync(context.Context, ds.Key) error { return nil }

// Close does nothing: there is no disk.
func (r *records) Close() error { return nil }

// noCache stands in for kad-dht's cache of provider sets, which would answer,
// and grow, outside the bounds that records keeps.
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
