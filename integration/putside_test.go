package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// hooked is a node whose Put and Get go through hooks, which may refuse.
type hooked struct {
	protocol.Handler
	put func(*protocol.PutRequest) error
	get func(*protocol.GetRequest) error
}

func (h *hooked) Put(ctx context.Context, from protocol.Remote, r *protocol.PutRequest, body io.Reader) (*protocol.PutReply, error) {
	if h.put != nil {
		if err := h.put(r); err != nil {
			return nil, err
		}
	}
	return h.Handler.Put(ctx, from, r, body)
}

func (h *hooked) Get(ctx context.Context, from protocol.Remote, r *protocol.GetRequest) (*protocol.GetReply, []byte, func(), error) {
	if h.get != nil {
		if err := h.get(r); err != nil {
			return nil, nil, nil, err
		}
	}
	return h.Handler.Get(ctx, from, r)
}

func (w *world) hook(m *member, h *hooked) {
	h.Handler = m.node
	m.Serve(func(s protocol.Stream) { _ = protocol.Serve(w.ctx, s, h) })
}

// A node that takes part in every group and then stores nothing, or only says
// so, must not keep a put forming groups for ever. A source that can be read
// again is stored with what the others allow; a stream is given up.
func TestPutAmongPromiseBreakers(t *testing.T) {
	no := func(code protocol.Code) *hooked {
		return &hooked{put: func(*protocol.PutRequest) error { return protocol.Refuse(code, "no") }}
	}
	for name, breaker := range map[string]*hooked{
		"full":        no(protocol.CodeFull),
		"unavailable": no(protocol.CodeUnavailable),
		"mute":        {put: func(*protocol.PutRequest) error { return io.ErrUnexpectedEOF }},
		"forgets":     {get: func(*protocol.GetRequest) error { return protocol.Refuse(protocol.CodeNotFound, "no") }},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %t", name, stream), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, 3, memnet.Config{Latency: 5 * time.Millisecond})
					w.hook(w.nodes[2], &hooked{put: breaker.put, get: breaker.get})
					b := randomBytes(9 << 20)
					ctx, cancel := context.WithTimeout(w.ctx, 10*time.Minute)
					defer cancel()
					src := client.Source{Reader: bytes.NewReader(b), Name: "x", Size: int64(len(b))}
					if stream {
						src.Reader = io.MultiReader(src.Reader)
					}
					res, err := w.client(true).Put(ctx, src, client.PutOptions{})
					if stream {
						if !errors.Is(err, client.ErrTooFew) && !errors.Is(err, client.ErrNetworkFull) {
							t.Fatalf("put: %v", err)
						}
						return
					}
					if err != nil || res.Profile != (protocol.Profile{K: 1, R: 1, N: 2}) || !res.NotSafe {
						t.Fatalf("put: %+v, %v", res, err)
					}
					if got, err := get(w, res.Link); err != nil || !bytes.Equal(got, b) {
						t.Fatalf("got %d bytes, %v", len(got), err)
					}
				})
			})
		}
	}
}

// If a holder goes while the manifest is stored, nothing is lost with it: what is
// not safe without it, content included, is brought elsewhere.
func TestHolderLeavesDuringPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5, memnet.Config{Latency: 5 * time.Millisecond})
		const content = 300 << 10
		var manifest sync.Map // segments too short for the content
		var gone atomic.Bool
		for _, m := range w.nodes[1:] {
			w.hook(m, &hooked{
				put: func(r *protocol.PutRequest) error {
					d, err := protocol.ParseDescriptor(r.Descriptor)
					if err == nil && d.Size < content {
						manifest.Store(protocol.SegmentID(protocol.Sum(r.Descriptor)), true)
					}
					return err
				},
				get: func(r *protocol.GetRequest) error {
					if _, ok := manifest.Load(r.Segment); ok && gone.CompareAndSwap(false, true) {
						m.Freeze() // it cannot show what it acknowledged
					}
					return nil
				},
			})
		}
		b := randomBytes(content)
		ctx, cancel := context.WithTimeout(w.ctx, 10*time.Minute)
		defer cancel()
		res, err := w.client(true).Put(ctx, client.Source{Reader: bytes.NewReader(b), Name: "x", Size: content}, client.PutOptions{Wait: time.Second})
		if err != nil || !gone.Load() {
			t.Fatalf("put: %v (gone: %v)", err, gone.Load())
		}
		if res.Stored < res.Profile.N {
			t.Errorf("stored %d of %s", res.Stored, res.Profile)
		}
		if got, err := get(w, res.Link); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	})
}

// A link is in the journal as soon as it is published: a client that is killed
// while the last shards are brought to their holders still has it.
func TestPublishedIsJournalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8, memnet.Config{Latency: 5 * time.Millisecond})
		owner, err := client.OpenOwner(t.TempDir(), w.log)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = owner.Close() }()
		c := client.New(client.Config{Network: worldNetwork, Net: w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.boot}), Owner: owner, Log: w.log})
		defer c.Close()
		b := randomBytes(100 << 10)
		var froze atomic.Bool
		for _, m := range w.nodes[1:] {
			w.hook(m, &hooked{put: func(*protocol.PutRequest) error {
				if froze.CompareAndSwap(false, true) {
					m.Freeze() // one shard stays missing
				}
				return nil
			}})
		}
		done := make(chan error, 1)
		go func() {
			_, err := c.Put(w.ctx, client.Source{Reader: bytes.NewReader(b), Name: "x", Size: int64(len(b))}, client.PutOptions{Wait: time.Hour})
			done <- err
		}()
		time.Sleep(10 * time.Minute) // virtual: it is still filling
		list, err := owner.Uploads()
		if err != nil || len(list) != 1 || list[0].Unfinished || list[0].Stored != list[0].Profile.N-1 {
			t.Errorf("uploads: %+v, %v", list, err)
		}
		select {
		case err := <-done:
			t.Errorf("the put ended: %v", err)
		default:
		}
		if got, err := get(w, list[0].Link); err != nil || !bytes.Equal(got, b) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// If more holders freeze than a segment can do without, a put notices that bytes
// do not move, and goes on in another group within seconds.
func TestPutLeavesFrozenGroupSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 14, memnet.Config{Latency: 5 * time.Millisecond, Rate: 50 << 20})
		c := w.client(true)
		put(w, c, randomBytes(1<<20), client.PutOptions{}) // the group that will be used
		frozen := 0
		var at time.Time
		b := randomBytes(40 << 20)
		src := &hookReader{r: bytes.NewReader(b), every: 20 << 20, hook: func() {
			for _, m := range w.nodes[3:] {
				if frozen < 2 && m.store.Usage().Shards > 0 {
					m.Freeze()
					frozen++
				}
			}
			if at.IsZero() {
				at = time.Now()
			}
		}}
		res, err := c.Put(w.ctx, client.Source{Reader: src, Name: "x", Size: -1}, client.PutOptions{Wait: time.Second})
		if err != nil || frozen != 2 {
			t.Fatalf("%d frozen: %v", frozen, err)
		}
		took := time.Since(at)
		t.Logf("stored %d of %s, %v after two holders froze", res.Stored, res.Profile, took)
		if took > 25*time.Second {
			t.Errorf("it took %v", took)
		}
		if got, err := get(w, res.Link); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	})
}
