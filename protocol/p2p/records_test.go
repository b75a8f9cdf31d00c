package p2p

import (
	"errors"
	"fmt"
	"testing"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

func recordKey(key, peer int) ds.Key {
	return ds.NewKey(fmt.Sprintf("/providers/K%04d/P%04d", key, peer))
}

func queried(t *testing.T, r *records, prefix string) int {
	t.Helper()
	res, err := r.Query(t.Context(), query.Query{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	all, err := res.Rest()
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestRecords(t *testing.T) {
	r := newRecords(maxRecordBytes)
	ctx := t.Context()
	for key := range 10 {
		for peer := range key + 1 {
			for range 2 {
				if err := r.Put(ctx, recordKey(key, peer), []byte{1, 2}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for prefix, want := range map[string]int{
		"/providers/": 55, "/providers": 55, "": 55, "/providers/K0003": 4, "/providers/K9999": 0,
	} {
		if n := queried(t, r, prefix); n != want {
			t.Errorf("%q: %d records, not %d", prefix, n, want)
		}
	}
	if n, err := r.GetSize(ctx, recordKey(3, 0)); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for key := range 10 {
		for peer := range key + 1 {
			if err := r.Delete(ctx, recordKey(key, peer)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := r.Get(ctx, recordKey(3, 0)); !errors.Is(err, ds.ErrNotFound) {
		t.Fatal(err)
	}
	if r.bytes != 0 || len(r.byKey) != 0 || len(r.byPeer) != 0 {
		t.Fatalf("left behind: %d bytes, %d keys, %d peers", r.bytes, len(r.byKey), len(r.byPeer))
	}
}

// TestRecordsOutgrown has one peer flood the store and many honest ones.
func TestRecordsOutgrown(t *testing.T) {
	const honest, flood, flooder = 200, 5000, 9999
	r := newRecords(1000 * (recordOverhead + 30))
	for i := range honest {
		if err := r.Put(t.Context(), recordKey(i, i), []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range flood {
		if err := r.Put(t.Context(), recordKey(honest+i, flooder), []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range honest {
		if ok, _ := r.Has(t.Context(), recordKey(i, i)); !ok {
			t.Fatalf("the flood washed away record %d", i)
		}
	}
	if r.bytes > r.most || len(r.byPeer[fmt.Sprintf("P%04d", flooder)]) == 0 {
		t.Fatalf("%d bytes of %d", r.bytes, r.most)
	}
}
