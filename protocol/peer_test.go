package protocol

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestShortPeerIsTheEndOfTheText(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 20000 {
		id := make([]byte, r.IntN(48))
		for j := range id {
			id[j] = byte(r.Uint32())
		}
		for j := range min(r.IntN(4), len(id)) { // the ID of an Ed25519 key begins with such bytes
			id[j] = [...]byte{0, 0, 0x24}[(i+j)%3]
		}
		text := peer.ID(id).String()
		if got, want := ShortPeer(peer.ID(id)), text[max(0, len(text)-8):]; got != want {
			t.Fatalf("%x: %s, of %s", id, got, text)
		}
	}
}
