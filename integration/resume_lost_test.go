package integration

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// An interrupted put is no trap: if what it had stored is gone since, or the
// network allows a higher profile by now, the same file can still be put.
func TestResumeOfWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8, memnet.Config{Latency: time.Millisecond, Rate: 200 << 20})
		owner, err := client.OpenOwner(t.TempDir(), w.log)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = owner.Close() }()
		b, when := randomBytes(30<<20), time.Now()
		session := func(breakAt int64) (*client.PutResult, error) {
			p := w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.boot})
			c := client.New(client.Config{Network: worldNetwork, Net: p, Owner: owner, Log: w.log})
			defer c.Close()
			ctx, cancel := context.WithCancel(w.ctx)
			defer cancel()
			src := &fileSource{Reader: bytes.NewReader(b), breakAt: breakAt, cut: func() { time.Sleep(5 * time.Second); cancel() }}
			return c.Put(ctx, client.Source{Reader: src, Name: "f", Path: "/f", Inode: 7, Size: int64(len(b)), MTime: when},
				client.PutOptions{Wait: time.Minute})
		}
		if _, err := session(20 << 20); !errors.Is(err, context.Canceled) {
			t.Fatalf("the first session: %v", err)
		}
		for _, m := range w.nodes[1:] {
			m.Stop()
		}
		w.grow(15)
		if _, err := session(0); err != nil && !errors.Is(err, client.ErrTooFew) {
			t.Fatalf("the second session: %v", err)
		}
		res, err := session(0)
		if err != nil {
			t.Fatalf("the third session: %v", err)
		}
		if got, err := get(w, res.Link); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}

		when = when.Add(time.Hour)
		if _, err := session(20 << 20); !errors.Is(err, context.Canceled) {
			t.Fatalf("the fourth session: %v", err)
		}
		w.grow(30)
		if res, err = session(0); err != nil || res.Profile != (protocol.Profile{K: 4, R: 9, N: 14}) {
			t.Fatalf("in a larger network: %+v, %v", res, err)
		}
	})
}
