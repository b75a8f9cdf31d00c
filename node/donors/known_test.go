package donors

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

func TestDonorsAreBounded(t *testing.T) {
	d, now := New(), time.Unix(1_900_000_000, 0)
	for i := range maxDonors + 10 {
		d.Answered(peer.ID([]byte{byte(i), byte(i >> 8), 1}), nil, nil, false, now)
	}
	if len(d.peers) != maxDonors {
		t.Errorf("%d peers remembered", len(d.peers))
	}
	for id := range d.peers {
		d.Answered(id, nil, &protocol.InfoReply{Donated: 1}, false, now)
	}
	d.Answered("new", nil, &protocol.InfoReply{Donated: 1}, false, now.Add(time.Second))
	if len(d.peers) != maxDonors || d.peers["new"] == nil {
		t.Errorf("%d peers remembered, the newest among them: %v", len(d.peers), d.peers["new"] != nil)
	}
}

func TestDonorsKnowEnvelopes(t *testing.T) {
	d, now := New(), time.Unix(1_900_000_000, 0)
	hint := func(seq uint64) (env protocol.Envelope, news bool) {
		env = protocol.Envelope(fmt.Sprint("envelope ", seq))
		return env, d.Hint(env, protocol.PeerRecord{Peer: "a peer", Seq: seq}, now)
	}
	first, news := hint(1)
	if _, again := hint(1); !news || again || !d.Has(first) {
		t.Error("the first envelope is news once")
	}
	second, news := hint(2)
	if _, older := hint(1); !news || older || d.Has(first) || !d.Has(second) {
		t.Error("a newer envelope takes the older one's place")
	}
	d.Forget(now.Add(49 * time.Hour))
	if d.Has(second) || len(d.sums) != 0 {
		t.Error("who is forgotten is known")
	}
}
