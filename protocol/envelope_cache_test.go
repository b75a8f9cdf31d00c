package protocol

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/multiformats/go-multiaddr"
)

func TestEnvelopeCache(t *testing.T) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	seal := func(seq uint64) Envelope {
		e, err := SealEnvelope(key, seq, []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/192.0.2.1/tcp/4401")})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	c := NewEnvelopeCache(2)
	for range 2 { // from the envelope, then from memory
		for seq := uint64(1); seq < 5; seq++ { // more than the cache has room for
			e := seal(seq)
			want, err := e.Open()
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := c.Open(bytes.Clone(e))
				if err != nil || got.Seq != seq || got.Info().String() != want.Info().String() {
					t.Fatalf("envelope %d: %v, %v", seq, got, err)
				}
			}
			if len(c.good) > 2 {
				t.Fatalf("%d remembered", len(c.good))
			}
		}
	}
	good := seal(9)
	if _, err := c.Open(good); err != nil {
		t.Fatal(err)
	}
	for i := range good { // a good one does not make similar ones good
		bad := Envelope(bytes.Clone(good))
		bad[i] ^= 1
		_, direct := bad.Open()
		for range 2 {
			if _, err := c.Open(bad); (err == nil) != (direct == nil) {
				t.Fatalf("byte %d changed: %v, and %v when opened directly", i, err, direct)
			}
		}
	}
	if _, err := c.Open(make(Envelope, MaxEnvelope+1)); err == nil {
		t.Error("an envelope above the limit was opened")
	}
}
