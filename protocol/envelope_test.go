package protocol

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/multiformats/go-multiaddr"
)

func TestUnverifiedReadsWhatOpenReads(t *testing.T) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	env, err := SealEnvelope(key, 5, []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/192.0.2.1/tcp/4401")})
	if err != nil {
		t.Fatal(err)
	}
	want, err := env.Open()
	if err != nil {
		t.Fatal(err)
	}
	got, err := env.Unverified()
	if err != nil || got.Peer != want.Peer || got.Seq != want.Seq || len(got.Addrs) != 1 || !got.Addrs[0].Equal(want.Addrs[0]) {
		t.Errorf("%+v, %v", got, err)
	}
	for i := range env {
		// Where only the signature is cut off, Unverified does not miss it.
		if got, err := env[:i].Unverified(); err == nil && got.Peer != want.Peer || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("cut to %d bytes: %+v, %v", i, got, err)
		}
	}
	if _, err := make(Envelope, MaxEnvelope+1).Unverified(); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
}
