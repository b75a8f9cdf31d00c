package protocol

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Handover is a holder's signed statement that another peer is to have its slot: it
// makes the slot vacant for that successor, and proves nothing else.
type Handover struct {
	head
	Group     GroupID `cbor:"group"`
	Slot      int     `cbor:"slot"`
	Successor []byte  `cbor:"successor"` // peer ID
}

const kindHandover = "handover"

// maxHandover bounds the bytes of a signed handover.
const maxHandover = 1 << 10

// SignHandover hands a slot over. key is the holder's identity, an Ed25519
// key; it returns an error for any other.
func SignHandover(key crypto.PrivKey, network string, g GroupID, slot int, successor peer.ID) ([]byte, error) {
	if key.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("sign handover: %w", malformed(kindHandover, "key of type %s", key.Type()))
	}
	body := mustEncode(&Handover{newHead(kindHandover, network), g, slot, []byte(successor)})
	sig, err := key.Sign(signInput(body))
	if err != nil {
		return nil, fmt.Errorf("sign handover: %w", err)
	}
	return mustEncode(signed{body, sig}), nil
}

// OpenHandover verifies that holder handed over a slot of the group. The caller must
// check whether it held that slot, and whether it is the successor that asks.
func OpenHandover(network string, g GroupID, holder peer.ID, b []byte) (*Handover, error) {
	if len(b) > maxHandover {
		return nil, malformed(kindHandover, "%d bytes", len(b))
	}
	v := new(Handover)
	s, err := openSigned(kindHandover, b, v)
	if err != nil {
		return nil, err
	}
	if err := v.check(kindHandover, network); err != nil {
		return nil, err
	}
	if v.Group != g {
		return nil, malformed(kindHandover, "of another group")
	}
	if err := inRange(kindHandover, "slot", int64(v.Slot), MaxShards-1); err != nil {
		return nil, err
	}
	if err := checkPeer(v.Successor); err != nil {
		return nil, fmt.Errorf("handover: successor: %w", err)
	}
	key, err := peerKey([]byte(holder))
	if err != nil {
		return nil, fmt.Errorf("handover: holder: %w", err)
	}
	return v, s.verify(kindHandover, key)
}
