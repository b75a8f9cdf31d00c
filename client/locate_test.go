package client

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// readAll opens the link in a fresh client and reads the file.
func (w *world) readAll(ctx context.Context) ([]byte, error) {
	f, err := w.newClient().Open(ctx, w.link)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = f.WriteTo(ctx, &out, nil)
	return out.Bytes(), err
}

func (w *world) mustRead(within time.Duration) {
	w.t.Helper()
	begun := time.Now()
	b, err := w.readAll(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if !bytes.Equal(b, w.content) {
		w.t.Fatal("other bytes")
	}
	if d := time.Since(begun); d > within {
		w.t.Errorf("it took %s", d)
	}
}

var small = protocol.Profile{K: 2, R: 4, N: 6}

// bystanders adds nodes that hold nothing, all known from the start, which
// name the peers given as donors.
func (w *world) bystanders(n int, m mood, donors ...*holder) []*holder {
	var out []*holder
	for i := range n {
		h := w.newHolder(1000 + len(w.net.known) + i)
		h.set(m)
		for _, d := range donors {
			env, err := protocol.SealEnvelope(d.key, 1, []multiaddr.Multiaddr{d.addr})
			if err != nil {
				w.t.Fatal(err)
			}
			h.info.Donors = append(h.info.Donors, env)
		}
		out = append(out, h)
	}
	for _, h := range out {
		w.net.known = append(w.net.known, h.id)
	}
	return out
}

func TestFindByHintsWithSilentDHT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, small, 300<<10, 100<<10)
		w.net.silentDHT = true
		w.hint(1, 4)
		w.holders[1].set(frozen)
		w.mustRead(2 * time.Second)
	})
}

func TestFindByDHTWithWrongHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, small, 300<<10, 100<<10)
		w.announce()
		for i, h := range w.bystanders(4, frozen) {
			m := multiaddr.StringCast(h.addr.String() + "/p2p/" + h.id.String())
			if i%2 == 0 { // the right peer at a wrong address
				m = multiaddr.StringCast("/ip4/10.9.9.9/tcp/1/p2p/" + w.holders[i].id.String())
			}
			w.link.Hints = append(w.link.Hints, m)
		}
		w.mustRead(2 * time.Second)
	})
}

// TestLivingHintsSpareTheDHT: reading by a link whose hints answer asks the DHT
// nothing; without hints it is asked immediately.
func TestLivingHintsSpareTheDHT(t *testing.T) {
	for _, hinted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 44, small, 100<<10, 0)
			w.announce()
			if hinted {
				w.hint(1, 4)
			}
			w.mustRead(dhtAfter)
			if asked := w.net.lookups.Load() > 0; asked == hinted {
				t.Errorf("hints: %v; the DHT was asked: %v", hinted, asked)
			}
		})
	}
}

func TestFindAmongForgedProviders(t *testing.T) {
	for name, m := range map[string]mood{"unreachable": dead, "silent": frozen, "without it": healthy, "lying": lying} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3, small, 100<<10, 0)
				for _, h := range w.bystanders(1000, m) {
					w.net.providers = append(w.net.providers, h.id)
				}
				w.net.known = nil
				w.announce() // behind all of them
				w.mustRead(12 * time.Second)
			})
		})
	}
}

// TestFindByCrawl has no hint, a DHT that says nothing or names only liars, and a
// chain of peers that name the next: one of them knows one honest member.
func TestFindByCrawl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4, small, 100<<10, 0)
		w.net.silentDHT = true
		far := w.bystanders(1, healthy, w.holders[5])[0]
		w.net.known = nil
		w.bystanders(20, frozen)
		w.bystanders(20, lying)
		w.bystanders(1, healthy, far)
		w.mustRead(10 * time.Second)
	})
}

func TestFindNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5, small, 1000, 0)
		if _, err := w.readAll(t.Context()); !errors.Is(err, ErrNoPeers) {
			t.Errorf("an empty network: %v", err)
		}
		w.bystanders(5, frozen)
		if _, err := w.readAll(t.Context()); !errors.Is(err, ErrNoPeers) {
			t.Errorf("a silent network: %v", err)
		}
		w.bystanders(5, healthy)
		if _, err := w.readAll(t.Context()); !errors.Is(err, ErrNotFound) {
			t.Errorf("nobody has it: %v", err)
		}
		w.hint(0)
		w.holders[0].set(dead)
		if _, err := w.readAll(t.Context()); !errors.Is(err, ErrTooFew) {
			t.Errorf("a holder is known and dead: %v", err)
		}
	})
}

// TestFindOnce looks for a group from many goroutines: one search serves all.
func TestFindOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6, small, 1000, 0)
		w.net.latency = 10 * time.Millisecond
		w.announce()
		c, e := w.client, w.extents[0]
		errs := make(chan error)
		for range 20 {
			go func() {
				g, err := c.locator().locate(t.Context(), &e, nil)
				if err == nil && g.id != w.group {
					err = errors.New("another group")
				}
				errs <- err
			}()
		}
		for range 20 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		for _, h := range w.holders {
			if n := w.net.opened[h.id]; n > 1 {
				t.Errorf("slot of %s asked %d times", h.addr, n)
			}
		}
	})
}

// TestMovedHolders gives the reader a table whose members have all changed address:
// the one that it reaches names the others' new addresses.
func TestMovedHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, small, 200<<10, 0)
		w.hint(2)
		var envs [][]byte
		for _, h := range w.holders {
			env, err := protocol.SealEnvelope(h.key, 9, []multiaddr.Multiaddr{h.addr})
			if err != nil {
				t.Fatal(err)
			}
			envs = append(envs, env)
		}
		for slot, h := range w.holders {
			old, err := protocol.SealEnvelope(h.key, 2, []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/10.7.7.7/tcp/7")})
			if err != nil {
				t.Fatal(err)
			}
			if slot != 2 {
				h.envs = [][]byte{old, nil, []byte("garbage")}
			}
		}
		w.holders[2].envs = envs
		w.mustRead(2 * time.Second)
	})
}

func TestGroupOfAnotherNameIsRefused(t *testing.T) {
	w := newWorld(t, 8, small, 1000, 0)
	other := newWorld(t, 9, small, 1000, 0)
	h := other.holders[0]
	if _, err := w.client.locator().take(w.group.Prefix(), h.record, h.table); !errors.Is(err, protocol.ErrForged) {
		t.Errorf("another group's record: %v", err)
	}
	if _, err := w.client.locator().take(w.group.Prefix(), w.holders[0].record, h.table); err == nil {
		t.Error("another group's table is taken")
	}
}

// TestCrawlIsBounded meets peers that name new peers without end.
func TestCrawlIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10, small, 1000, 0)
		w.bystanders(1, healthy)
		var visits atomic.Int64
		w.client.newCrawl(func(context.Context, peer.ID) []peer.AddrInfo {
			n := visits.Add(1)
			rng := rand.New(rand.NewPCG(10, uint64(n)))
			one, _ := testPeer(rng)
			two, _ := testPeer(rng)
			return []peer.AddrInfo{{ID: one}, {ID: two}}
		}).run(t.Context())
		if n := visits.Load(); n < crawlMost-8 || n > crawlMost {
			t.Errorf("%d visits", n)
		}
	})
}
