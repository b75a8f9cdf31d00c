package integration

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// burden is what a process holds on to.
type burden struct{ goroutines, files int }

// files is 0 where the system does not tell.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// heavier reports whether a burden grew by more than a few: what is under way
// at the moment, but nothing that grows with what was done.
func (b burden) heavier(than burden) bool {
	const few = 8
	return b.goroutines > than.goroutines+few || b.files > than.files+few
}

// TestNothingGrowsInMemory puts and gets a thousand files in one session each,
// every tenth one through a session of its own: nodes and clients are left with
// as many goroutines and files as after the first hundred.
func TestNothingGrowsInMemory(t *testing.T) {
	times := 1000
	if testing.Short() {
		times = 40
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8, memnet.Config{Latency: time.Millisecond})
		owner, reader := w.client(true), w.client(false)
		var early burden
		for i := range times {
			b := fmt.Appendf(nil, "file %d", i)
			if i%50 == 7 {
				b = randomBytes(int64(300<<10 + i)) // parts, ranges, more than one leaf
			}
			link := put(w, owner, b, client.PutOptions{}).Link
			c := reader
			if i%10 == 0 {
				c = client.New(client.Config{Network: worldNetwork, Net: w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.boot})})
			}
			f, err := c.Open(w.ctx, link)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := f.WriteTo(w.ctx, &out, nil); err != nil || !bytes.Equal(out.Bytes(), b) {
				t.Fatalf("file %d: %d bytes, %v", i, out.Len(), err)
			}
			if c != reader {
				c.Close()
			}
			if i == min(100, times/2) {
				early = restingBurden()
			}
		}
		late := restingBurden()
		t.Logf("after %d: %+v; after %d: %+v", min(100, times/2), early, times, late)
		if late.heavier(early) {
			t.Errorf("%+v after %d puts and gets, and %+v at first", late, times, early)
		}
	})
}

// restingBurden waits, in virtual time, until streams that idle are closed.
func restingBurden() burden {
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	return burden{runtime.NumGoroutine(), openFiles()}
}

// TestNothingGrows does the same over libp2p, with fewer files unless CAIRN_LONG
// is set.
func TestNothingGrows(t *testing.T) {
	slow(t)
	warm, times := 20, 120
	if os.Getenv(longVariable) != "" {
		warm, times = 100, 900
	}
	boot := realNetwork(t, 8)
	owner, reader := realClient(t, boot, true), realClient(t, boot, false)
	once := func(i int) {
		b := randomBytes(int64(1000 + 5000*(i%60)))
		res, err := owner.Put(t.Context(), client.Source{Reader: bytes.NewReader(b), Name: "x", Size: int64(len(b))}, client.PutOptions{Wait: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		f, err := reader.Open(t.Context(), res.Link)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		if err := f.WriteTo(t.Context(), io.Writer(h), nil); err != nil || sha256.Sum256(b) != [32]byte(h.Sum(nil)) {
			t.Fatalf("file %d: %v", i, err)
		}
	}
	for i := range warm {
		once(i)
	}
	early := burden{runtime.NumGoroutine(), openFiles()}
	for i := range times {
		once(warm + i)
	}
	late := burden{runtime.NumGoroutine(), openFiles()}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(30 * time.Second); late.heavier(early) && time.Now().Before(until); <-tick.C {
		late = burden{runtime.NumGoroutine(), openFiles()}
	}
	t.Logf("after %d: %+v; after %d: %+v", warm, early, warm+times, late)
	if late.heavier(early) {
		t.Errorf("%+v after %d puts and gets, and %+v at first", late, warm+times, early)
	}
}
