package integration

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// TestPutByAWrongClock has an owner put whose clock is far off: nodes answer, and
// the error says what they refuse.
func TestPutByAWrongClock(t *testing.T) {
	for by, says := range map[time.Duration]string{
		48 * time.Hour:        "first refusal: offer fact of kind 6",
		-100 * 24 * time.Hour: "has not been heard of for long",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 7, memnet.Config{Latency: 10 * time.Millisecond})
			o, err := client.OpenOwner(t.TempDir(), w.log)
			w.must(err)
			defer o.Close()
			p := w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.boot})
			now := func() time.Time { return time.Now().Add(by) }
			c := client.New(client.Config{Network: worldNetwork, Net: p, Owner: o, Log: w.log, Now: now})
			defer c.Close()
			b := randomBytes(1 << 20)
			_, err = c.Put(w.ctx, client.Source{Reader: bytes.NewReader(b), Name: "x", Size: int64(len(b))}, client.PutOptions{})
			if !errors.Is(err, client.ErrTooFew) || !strings.Contains(err.Error(), says) {
				t.Errorf("clock off by %s: %v", by, err)
			}
		})
	}
}
