package protocol

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// world is what all vectors are about: one group of profile 1/2/3 with its
// keys, and one segment in it. Every key is an Ed25519 key whose seed is one
// byte repeated 32 times.
type world struct {
	owner, renew, read, pointer ed25519.PrivateKey
	peers                       []crypto.PrivKey
	ids                         []peer.ID
	record                      *GroupRecord
	recordBytes                 []byte
	group                       GroupID
	desc                        *Descriptor
	descBytes                   []byte
	segment                     SegmentID
	shards                      [][]byte
}

// Seeds of the vectors' keys.
const (
	seedOwner, seedRenew, seedRecovery, seedRead, seedPointer = 1, 2, 3, 4, 5

	seedPeer = 0x10 // and the two after it

	vectorNetwork = "vectors"
)

func seeded(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{owner: seeded(seedOwner), renew: seeded(seedRenew), read: seeded(seedRead), pointer: seeded(seedPointer)}
	for i := range 3 {
		key := seeded(seedPeer + byte(i))
		k, err := crypto.UnmarshalEd25519PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		id, err := peer.IDFromPrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		w.peers, w.ids = append(w.peers, k), append(w.ids, id)
	}
	nonce := Nonce(bytes.Repeat([]byte{0x77}, 16))
	recovery := Hash(bytes.Repeat([]byte{0x33}, 32))
	w.record = NewGroupRecord(vectorNetwork, PublicKeyOf(w.owner), PublicKeyOf(w.renew), recovery, nonce)
	w.recordBytes, w.group = w.record.Encode()
	const size = 200
	shard := generated(256)
	w.shards = [][]byte{shard, shard, shard} // k is 1: every shard is the segment
	w.desc = &Descriptor{V: Version, K: 1, N: 3, Size: size, ShardSize: ShardSize(size, 1), ReadKey: PublicKeyOf(w.read)}
	clear(shard[size:])
	for _, s := range w.shards {
		w.desc.Roots = append(w.desc.Roots, Sum(s))
	}
	w.descBytes, w.segment = w.desc.Encode()
	return w
}

// address returns the multiaddr of peer i, with its ID at the end.
func (w *world) address(i int) multiaddr.Multiaddr {
	return multiaddr.StringCast("/ip4/192.0.2." + string('1'+rune(i)) + "/tcp/4401/p2p/" + w.ids[i].String())
}

// envelope returns the signed peer record of peer i.
func (w *world) envelope(i int) Envelope {
	addr := multiaddr.StringCast("/ip4/192.0.2." + string('1'+rune(i)) + "/tcp/4401")
	e, err := SealEnvelope(w.peers[i], 7, []multiaddr.Multiaddr{addr})
	if err != nil {
		panic(err) // the vectors' own
	}
	return e
}

func (w *world) table() []byte {
	return SignTable(w.owner, vectorNetwork, w.group, Profile{1, 2, 3}, []peer.ID{w.ids[0], "", w.ids[2]})
}

func (w *world) grant() []byte {
	return SignGrant(w.owner, vectorNetwork, w.group, w.segment[:], w.desc.Footprint())
}

func (w *world) extent() Extent {
	return Extent{
		Group: w.group, Segment: w.segment, Offset: 0, Length: 200,
		Secret: Secret(bytes.Repeat([]byte{0x5e}, 32)), Key: Secret(bytes.Repeat([]byte{0x6b}, 32)),
	}
}

// beat returns the state of a node that will be away for a day.
func (w *world) beat() Beat {
	return Beat{Clock: at.Unix(), AwayUntil: at.Unix() + 86400,
		Renewals: []GroupRenewal{{w.group, SignRenewal(w.renew, vectorNetwork, w.group, at)}}}
}
