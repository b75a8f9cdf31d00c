package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	mathrand "math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// sourcesOf gives each text as a source, read as it is asked for.
func sourcesOf(texts [][]byte) iter.Seq2[client.Source, error] {
	return func(yield func(client.Source, error) bool) {
		for i, b := range texts {
			if !yield(client.Source{Reader: bytes.NewReader(b), Name: fmt.Sprintf("file %d", i), Size: int64(len(b)), MTime: time.Unix(int64(i+1), 5)}, nil) {
				return
			}
		}
	}
}

// putAll stores texts and returns what was told of each.
func putAll(w *world, c *client.Client, sources iter.Seq2[client.Source, error]) ([]client.Stored, *client.PutAllResult) {
	w.t.Helper()
	var list []client.Stored
	res, err := c.PutAll(w.ctx, sources, client.PutOptions{Wait: time.Minute}, func(s client.Stored) error {
		list = append(list, s)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list, res
}

// openAll reads files back by their manifests and checks them.
func openAll(w *world, c *client.Client, list []client.Stored, texts [][]byte) {
	w.t.Helper()
	for i, s := range list {
		f, err := c.OpenManifest(w.ctx, s.Manifest)
		if err != nil {
			w.t.Fatalf("file %d: %v", i, err)
		}
		var out bytes.Buffer
		err = f.WriteTo(w.ctx, &out, nil)
		if err != nil || !bytes.Equal(out.Bytes(), texts[i]) || f.Name != s.Name || f.MTime.Unix() != int64(i+1) {
			w.t.Fatalf("file %d: %d bytes of %d, %q of %v, %v", i, out.Len(), len(texts[i]), f.Name, f.MTime, err)
		}
	}
}

// mixedTexts are files around every boundary of packing.
func mixedTexts(rng *mathrand.Rand) [][]byte {
	sizes := []int64{0, 1, 4 << 10, 256<<10 - 1, 256 << 10, 256<<10 + 1, 2<<20 - 50, 2<<20 - 48, 2 << 20, 9 << 20}
	for range 200 {
		sizes = append(sizes, rng.Int64N(100<<10))
	}
	rng.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	texts := make([][]byte, len(sizes))
	for i, n := range sizes {
		texts[i] = randomBytes(n)
	}
	return texts
}

// Files of every size go into few segments and come back one by one through a
// client that never met the one that put them, with holders gone.
func TestPackInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := mathrand.Uint64()
		t.Logf("seed %d", seed)
		rng := mathrand.New(mathrand.NewPCG(seed, 1))
		w := newWorld(t, 10, memnet.Config{Latency: 10 * time.Millisecond, Seed: seed})
		texts := mixedTexts(rng)
		list, res := putAll(w, w.client(true), sourcesOf(texts))
		if len(list) != len(texts) || res.Files != len(texts) || res.Failed != 0 || res.Stored != 6 {
			t.Fatalf("told of %d files: %+v", len(list), res)
		}
		// 24 MB in segments of 8 MiB, and one of manifests.
		if res.Segments > 12 {
			t.Errorf("%d segments", res.Segments)
		}
		openAll(w, w.client(false), list, texts)
		gone := 0
		for _, m := range w.nodes[1:] {
			if gone < 4 && m.store.Usage().Shards > 0 {
				m.Stop()
				gone++
			}
		}
		openAll(w, w.client(false), list, texts)
	})
}

// A source that cannot be read, shrinks or grows fails alone, whether it would
// be packed or fill segments of its own.
func TestPackOfBadSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10, memnet.Config{Latency: time.Millisecond})
		good := randomBytes(50 << 10)
		broken := errors.New("the disk is broken")
		var sources []client.Source
		add := func(r io.Reader, size int64) {
			sources = append(sources, client.Source{Reader: r, Name: "x", Size: size, MTime: time.Unix(1, 0)})
		}
		for _, size := range []int64{20 << 10, 20 << 20} {
			b := randomBytes(size)
			add(bytes.NewReader(good), int64(len(good)))
			add(bytes.NewReader(b[:size-1]), size)
			add(bytes.NewReader(append(slices.Clone(b), 1)), size)
			add(io.MultiReader(bytes.NewReader(b[:size/2]), failingReader{broken}), size)
		}
		add(bytes.NewReader([]byte("x")), 0)
		add(bytes.NewReader(good), -1)
		list, res := putAll(w, w.client(true), func(yield func(client.Source, error) bool) {
			for _, s := range sources {
				if !yield(s, nil) {
					return
				}
			}
		})
		if res.Files != 3 || res.Failed != 7 {
			t.Fatalf("%+v", res)
		}
		for i, s := range list {
			switch i {
			case 0, 4, 9:
				list[i].Name = "x"
				openAll(w, w.client(false), list[i:i+1], [][]byte{good})
			case 3, 7:
				if !errors.Is(s.Err, broken) {
					t.Errorf("source %d: %v", i, s.Err)
				}
			default:
				if !errors.Is(s.Err, client.ErrSourceChanged) {
					t.Errorf("source %d: %v", i, s.Err)
				}
			}
		}
	})
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// What PutAll has reported as stored stays there, whatever holders do later in the
// put: if a holder is caught lying, nothing reported is lost with it.
func TestPackStaysWhereItWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 9, memnet.Config{Latency: time.Millisecond})
		c := w.client(true)
		texts := make([][]byte, 9000) // three batches
		for i := range texts {
			texts[i] = randomBytes(int64(i%300 + 1))
		}
		lies := 0
		var list []client.Stored
		_, err := c.PutAll(w.ctx, sourcesOf(texts), client.PutOptions{Wait: time.Second}, func(s client.Stored) error {
			if list = append(list, s); len(list) == 1 {
				// From now on two holders no longer show anything.
				for _, m := range w.nodes {
					if lies < 2 && m.store.Usage().Shards > 0 {
						lies++
						w.hook(m, &hooked{get: func(*protocol.GetRequest) error { return protocol.Refuse(protocol.CodeNotFound, "no") }})
					}
				}
			}
			return nil
		})
		if err != nil || lies != 2 {
			t.Fatalf("%d lie: %v", lies, err)
		}
		openAll(w, w.client(false), list, texts)
	})
}

// An error of the caller ends the put and is what it returns.
func TestPackCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6, memnet.Config{})
		c := w.client(true)
		enough := errors.New("enough")
		_, err := c.PutAll(w.ctx, sourcesOf([][]byte{{1}}), client.PutOptions{}, func(client.Stored) error { return enough })
		if !errors.Is(err, enough) {
			t.Errorf("stored: %v", err)
		}
		_, err = c.PutAll(w.ctx, func(yield func(client.Source, error) bool) { yield(client.Source{}, enough) }, client.PutOptions{}, nil)
		if !errors.Is(err, enough) {
			t.Errorf("sources: %v", err)
		}
		ctx, cancel := context.WithCancel(w.ctx)
		cancel()
		if _, err = c.PutAll(ctx, sourcesOf([][]byte{{1}}), client.PutOptions{}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		// Nobody has left anything open.
		list, _ := putAll(w, c, sourcesOf([][]byte{[]byte("x")}))
		openAll(w, c, list, [][]byte{[]byte("x")})
	})
}
