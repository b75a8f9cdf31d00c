package integration

import (
	"bytes"
	mathrand "math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/lab/liar"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// lie makes a member lie from now on.
func (w *world) lie(m *member, l liar.Lie, seed uint64) {
	h := liar.Wrap(m.node, l, seed)
	m.Serve(func(s protocol.Stream) { _ = protocol.Serve(w.ctx, s, h) })
}

// With n−k holders of a full group lying in every message, each in a way of
// its own, the true bytes come back.
func TestHoldersThatLie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := mathrand.Uint64()
		rng := mathrand.New(mathrand.NewPCG(seed, 2))
		w := newWorld(t, 15, memnet.Config{Latency: 10 * time.Millisecond, Seed: seed})
		b := randomBytes(33 << 20)
		res := put(w, w.client(true), b, client.PutOptions{})
		if res.Stored != 14 {
			t.Fatalf("put: %+v", res)
		}
		h, err := w.client(false).Health(w.ctx, res.Link)
		if err != nil {
			t.Fatal(err)
		}
		lies := liar.All()
		for i, at := range rng.Perm(len(h.Holders))[:10] {
			w.lie(w.member(h.Holders[at].Peer), lies[i%len(lies)], seed+uint64(i))
		}
		begun := time.Now()
		got, err := get(w, res.Link)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("seed %d: 10 of 14 lie: %d bytes, %v", seed, len(got), err)
		}
		t.Logf("10 of 14 lie: whole file after %v", time.Since(begun))
	})
}

// A put among liars ends with a file that is safe without them, or says that
// it could not; never with a link that does not open.
func TestPutAmongLiars(t *testing.T) {
	for _, l := range liar.All() {
		t.Run(string(l), func(t *testing.T) {
			t.Parallel() // each keeps one core busy, in a world of its own
			synctest.Test(t, func(t *testing.T) {
				seed := mathrand.Uint64()
				w := newWorld(t, 20, memnet.Config{Latency: 5 * time.Millisecond, Seed: seed})
				for i := range 4 {
					w.lie(w.nodes[3+4*i], l, seed)
				}
				b := randomBytes(20 << 20)
				res := put(w, w.client(true), b, client.PutOptions{Wait: 5 * time.Second})
				got, err := get(w, res.Link)
				if err != nil || !bytes.Equal(got, b) {
					t.Fatalf("seed %d: stored %d of %s: %d bytes, %v", seed, res.Stored, res.Profile, len(got), err)
				}
			})
		})
	}
}
