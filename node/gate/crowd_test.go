package gate

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// from is a peer numbered i at an address.
func from(i int, addr string) protocol.Remote {
	return protocol.Remote{Peer: peer.ID(fmt.Sprint("peer ", i)), Addr: multiaddr.StringCast("/ip4/" + addr + "/tcp/1")}
}

// One source with many identities has its share of streams, one wide prefix
// half of all; others have theirs.
func TestStreamsOfOneSource(t *testing.T) {
	d := New(Limits{Streams: 40, SourceStreams: 5, PeerStreams: 2}.WithDefaults(), CrowdedRate, time.Now)
	open := func(of func(i int) protocol.Remote) (n int) {
		for i := range 100 {
			if _, ok := d.Stream(of(i)); ok {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		what string
		of   func(i int) protocol.Remote
		want int
	}{
		{"one peer", func(int) protocol.Remote { return from(1000, "66.6.6.1") }, 2},
		{"one /24", func(i int) protocol.Remote { return from(i, fmt.Sprint("66.6.6.", i)) }, 3},
		{"one /16", func(i int) protocol.Remote { return from(i, fmt.Sprintf("66.6.%d.1", i)) }, 15},
		{"the local network", func(i int) protocol.Remote { return from(2000+i, "192.168.0.1") }, 20},
		{"anybody else", func(i int) protocol.Remote { return from(3000+i, "9.9.9.9") }, 0},
	} {
		if n := open(c.of); n != c.want {
			t.Errorf("%s: %d streams, want %d", c.what, n, c.want)
		}
	}
}

// The same with memory and with requests: a source that waits for its own share keeps
// no other waiting.
func TestMemoryAndRequestsOfOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = protocol.MaxShardSize
		d := New(Limits{Body: 8 * most, SourceBody: 3 * most, PeerBody: 2 * most, Requests: 8, SourceRequests: 3}.WithDefaults(), CrowdedRate, time.Now)
		ctx := t.Context()
		var frees []func()
		take := func(want int, of func(i int) protocol.Remote) {
			t.Helper()
			bodies, requests := make(chan func(), 20), make(chan func(), 20)
			for i := range 20 {
				go func() {
					free, _ := d.Body(ctx, of(i), most)
					bodies <- free
				}()
				go func() {
					leave, _ := d.Request(ctx, of(i))
					requests <- leave
				}()
			}
			for what, c := range map[string]chan func(){"bodies": bodies, "requests": requests} {
				n := 0
				for range 20 {
					if free := <-c; free != nil {
						n++
						frees = append(frees, free)
					}
				}
				if n != want {
					t.Errorf("%d %s are let in, not %d", n, what, want)
				}
			}
		}
		take(3, func(i int) protocol.Remote { return from(i, "66.6.6.6") })
		take(1, func(i int) protocol.Remote { return from(i, fmt.Sprintf("66.6.%d.1", 10+i)) })
		begun := time.Now()
		free, err := d.Body(ctx, from(99, "9.9.9.9"), most)
		if err != nil || time.Since(begun) != 0 {
			t.Errorf("another waits %v: %v", time.Since(begun), err)
		}
		for _, f := range append(frees, free) {
			f()
		}
		if len(d.guests) != 0 || len(d.holds) != 0 || !d.memory.TryAcquire(8*most) || !d.requests.TryAcquire(8) {
			t.Errorf("%d guests and %d holds are left", len(d.guests), len(d.holds))
		}
	})
}

// Puts that come byte by byte hold memory for minutes. They may, until
// somebody else needs it.
func TestSlowPutsYieldToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = protocol.MaxShardSize
		d := New(Limits{Body: 4 * most}.WithDefaults(), CrowdedRate, time.Now)
		cut := 0
		for i := range 4 {
			ctx, cancel := context.WithCancel(t.Context())
			free, err := d.Body(WithCut(ctx, func() { cut++; cancel() }), from(i, fmt.Sprintf("%d.6.6.6", 60+i)), most)
			if err != nil {
				t.Fatal(err)
			}
			go func() { <-ctx.Done(); free() }()
		}
		time.Sleep(crowdedGrace + time.Second)
		if _, err := d.Body(t.Context(), from(9, "9.9.9.9"), most); protocol.CodeOf(err) != protocol.CodeUnavailable || cut != 0 {
			t.Errorf("peers that are not late yet: %d cut, %v", cut, err)
		}
		time.Sleep(time.Minute)
		if cut != 0 {
			t.Errorf("%d were cut while nobody waited", cut)
		}
		for range 3 {
			begun := time.Now()
			free, err := d.Body(t.Context(), from(9, "9.9.9.9"), most)
			if err != nil || time.Since(begun) > unrest {
				t.Errorf("waited %v for a slow peer: %v", time.Since(begun), err)
			}
			free()
		}
		if cut != 1 {
			t.Errorf("%d slow puts were cut where one was enough", cut)
		}
	})
}
