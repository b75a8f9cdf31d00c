package integration

import (
	"bytes"
	mathrand "math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// TestTwentyNodesUnderFaultsInMemory puts a file and many small ones through
// twenty nodes of which some die, freeze, refuse or forget meanwhile, and several
// readers get them back at the same time. It is made for the race detector.
func TestTwentyNodesUnderFaultsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := mathrand.Uint64()
		t.Logf("seed %d", seed)
		rng := mathrand.New(mathrand.NewPCG(seed, 1))
		w := newWorld(t, 20, memnet.Config{Latency: 5 * time.Millisecond, Rate: 50 << 20, Seed: seed})
		next := 3 // the first three are the way in
		order := rng.Perm(17)
		harm := func() {
			m := w.nodes[3+order[next-3]]
			next++
			switch rng.IntN(4) {
			case 0:
				m.Stop()
			case 1:
				m.Freeze()
			case 2:
				w.hook(m, &hooked{put: func(*protocol.PutRequest) error { return protocol.Refuse(protocol.CodeUnavailable, "no") }})
			case 3:
				w.hook(m, &hooked{get: func(*protocol.GetRequest) error { return protocol.Refuse(protocol.CodeNotFound, "no") }})
			}
		}
		c := w.client(true)
		big := randomBytes(40 << 20)
		src := &hookReader{r: bytes.NewReader(big), every: 12 << 20, hook: harm}
		done := make(chan error, 1)
		texts := make([][]byte, 300)
		for i := range texts {
			texts[i] = randomBytes(int64(1 + i*100))
		}
		var list []client.Stored
		go func() { // meanwhile, in the same groups
			_, err := c.PutAll(w.ctx, sourcesOf(texts), client.PutOptions{Wait: 5 * time.Second}, func(s client.Stored) error {
				list = append(list, s)
				return nil
			})
			done <- err
		}()
		res, err := c.Put(w.ctx, client.Source{Reader: src, Name: "big", Size: int64(len(big))}, client.PutOptions{Wait: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		harm()
		for range 3 {
			go func() {
				got, err := get(w, res.Link)
				if err == nil && !bytes.Equal(got, big) {
					err = client.ErrDamaged
				}
				done <- err
			}()
		}
		openAll(w, w.client(false), list, texts)
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}
