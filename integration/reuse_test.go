package integration

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// A later session goes on with the open group and brings a member that was away
// the facts that the others have: links made meanwhile can be opened through it.
func TestLaterSessionsUseTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6, memnet.Config{Latency: 5 * time.Millisecond})
		owner, err := client.OpenOwner(t.TempDir(), w.log)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = owner.Close() }()
		session := func() *client.Client {
			p := w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.boot})
			c := client.New(client.Config{Network: worldNetwork, Net: p, Owner: owner, Log: w.log})
			t.Cleanup(c.Close)
			return c
		}
		profile := protocol.Profile{K: 2, R: 3, N: 6} // safe with 5 of 6
		opt := client.PutOptions{Profile: profile, Wait: 2 * time.Second}
		first := put(w, session(), randomBytes(1000), opt)

		away := w.nodes[5]
		away.Stop()
		b := randomBytes(3 << 20)
		second := put(w, session(), b, opt)
		if second.Link.Home != first.Link.Home {
			t.Fatal("the second session formed a group of its own")
		}
		if second.Stored != 5 {
			t.Fatalf("stored %d shards with one of 6 holders away", second.Stored)
		}

		away.Start()
		third := put(w, session(), randomBytes(2000), opt)
		if third.Link.Home != first.Link.Home || third.Stored != 6 {
			t.Fatalf("the third put: home %s, stored %d", third.Link.Home, third.Stored)
		}
		asker := protocol.NewCaller(w.net.Peer(memnet.PeerConfig{Bootstrap: w.boot}))
		asker.Network().Learn(away.AddrInfo())
		reply, err := asker.Facts(w.ctx, away.Self(), &protocol.FactsRequest{Group: second.Link.Home, Pointer: second.Link.Pointer[:]})
		if err != nil {
			t.Fatalf("the member that was away does not know the link made meanwhile: %v", err)
		}
		if len(reply.Facts) < 3 {
			t.Fatalf("it gives %d facts", len(reply.Facts))
		}
		got, err := get(w, second.Link)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatal(err)
		}
	})
}
