package protocol

import (
	"bytes"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/multiformats/go-multiaddr"
)

// Limits of an envelope.
const (
	MaxEnvelope      = 1 << 10 // bytes
	MaxEnvelopeAddrs = 8
)

// Envelope is a libp2p signed peer record: a peer's own statement of its addresses.
type Envelope []byte

// PeerRecord is what an envelope says.
type PeerRecord struct {
	Peer  peer.ID
	Seq   uint64 // a higher one is newer
	Addrs []multiaddr.Multiaddr
}

// Info returns the record as libp2p's address hint.
func (r PeerRecord) Info() peer.AddrInfo { return peer.AddrInfo{ID: r.Peer, Addrs: r.Addrs} }

// SealEnvelope signs addresses: the first MaxEnvelopeAddrs, or fewer if they would
// not fit.
func SealEnvelope(key crypto.PrivKey, seq uint64, addrs []multiaddr.Multiaddr) (Envelope, error) {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("sign peer record: %w", err)
	}
	if len(addrs) > MaxEnvelopeAddrs {
		addrs = addrs[:MaxEnvelopeAddrs]
	}
	for {
		e, err := record.Seal(&peer.PeerRecord{PeerID: id, Seq: seq, Addrs: addrs}, key)
		if err != nil {
			return nil, fmt.Errorf("sign peer record: %w", err)
		}
		b, err := e.Marshal()
		if err != nil {
			return nil, fmt.Errorf("sign peer record: %w", err)
		}
		if len(b) <= MaxEnvelope || len(addrs) == 0 {
			return b, nil
		}
		addrs = addrs[:len(addrs)-1]
	}
}

// Open checks the signature and returns what the peer says of itself. It
// returns ErrMalformed for anything but one peer's own record within limits.
func (e Envelope) Open() (PeerRecord, error) {
	if len(e) == 0 || len(e) > MaxEnvelope {
		return PeerRecord{}, malformed("peer record", "%d bytes", len(e))
	}
	var rec peer.PeerRecord
	env, err := record.ConsumeTypedEnvelope(e, &rec)
	if err != nil {
		return PeerRecord{}, malformed("peer record", "%v", err)
	}
	if env.PublicKey.Type() != crypto.Ed25519 || !rec.PeerID.MatchesPublicKey(env.PublicKey) {
		return PeerRecord{}, malformed("peer record", "signed by another key")
	}
	raw, err := env.PublicKey.Raw()
	if err != nil || smallOrder(raw) {
		return PeerRecord{}, malformed("peer record", "key of small order")
	}
	if len(rec.Addrs) > MaxEnvelopeAddrs {
		return PeerRecord{}, malformed("peer record", "%d addresses", len(rec.Addrs))
	}
	// Protocol buffers have many encodings of one record; facts are named by their
	// bytes, so only the one that we would write ourselves is accepted.
	again, err := env.Marshal()
	if err != nil || !bytes.Equal(again, e) {
		return PeerRecord{}, malformed("peer record", "not in canonical form")
	}
	return PeerRecord{Peer: rec.PeerID, Seq: rec.Seq, Addrs: rec.Addrs}, nil
}

// Unverified returns what an envelope says without checking its signature, for one
// that Open accepted before it was stored. It returns ErrMalformed for what is no
// peer record.
func (e Envelope) Unverified() (PeerRecord, error) {
	if len(e) > MaxEnvelope {
		return PeerRecord{}, malformed("peer record", "%d bytes", len(e))
	}
	var rec peer.PeerRecord
	env, err := record.UnmarshalEnvelope(e)
	if err == nil && !bytes.Equal(env.PayloadType, rec.Codec()) {
		err = record.ErrPayloadTypeNotRegistered
	}
	if err == nil {
		err = rec.UnmarshalRecord(env.RawPayload)
	}
	if err != nil {
		return PeerRecord{}, malformed("peer record", "%v", err)
	}
	return PeerRecord{Peer: rec.PeerID, Seq: rec.Seq, Addrs: rec.Addrs}, nil
}
