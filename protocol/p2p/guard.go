package p2p

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of what the DHT takes from one peer.
const (
	maxKadRequest  = 16 << 10 // bytes of a request; kad-dht itself would take 4 MiB
	maxKadStreams  = 2048     // open at a time, of all peers,
	maxKadOrigin   = 256      // of one /24 (IPv6: /48),
	maxKadPeer     = 16       // of one peer; kad-dht uses one or two
	announceBurst  = 20_000   // announcements of a peer in one go,
	announceRate   = 10       // and per second after that
	maxPaced       = 65_536   // peers whose pace is watched
	announcedAddrs = protocol.MaxEnvelopeAddrs
)

// guard looks at each request to the DHT before kad-dht does. It cannot answer
// with an error: it empties what it refuses, and kad-dht then resets the stream.
func (r *records) guard(_ context.Context, s network.Stream, req *pb.Message) {
	if req.GetType() != pb.Message_ADD_PROVIDER {
		return
	}
	from := s.Conn()
	req.ProviderPeers = ownEntry(req.GetProviderPeers(), from.RemotePeer())
	if len(req.ProviderPeers) == 0 {
		return
	}
	if !isGroupKey(req.GetKey()) || !r.provide(req.GetKey(), from.RemotePeer(), originOf(from.RemoteMultiaddr())) {
		req.ProviderPeers = nil
		return
	}
	req.Key = r.sink
}

// ownEntry returns what a message says of the peer that sent it, once and with a
// bounded number of addresses, or nothing.
func ownEntry(all []*pb.Message_Peer, sender peer.ID) []*pb.Message_Peer {
	for _, p := range all {
		if peer.ID(p.GetId()) == sender && len(p.Addresses()) > 0 {
			p.Addrs = p.Addrs[:min(len(p.Addrs), announcedAddrs)]
			return []*pb.Message_Peer{p}
		}
	}
	return nil
}

// guardedHost is the host as the DHT sees it: the streams of one peer and one
// origin are limited, and so are the requests on them.
type guardedHost struct {
	host.Host
	streams *tally
}

func guarded(h host.Host) guardedHost {
	return guardedHost{h, newTally(maxKadStreams, maxKadOrigin, maxKadPeer)}
}

// SetStreamHandler sets a handler that ends the stream before it returns.
func (g guardedHost) SetStreamHandler(id libprotocol.ID, handle network.StreamHandler) {
	g.Host.SetStreamHandler(id, func(s network.Stream) {
		c := s.Conn()
		leave, ok := g.streams.enter(c.RemotePeer(), originOf(c.RemoteMultiaddr()))
		if !ok {
			_ = s.Reset()
			return
		}
		defer leave()
		handle(&kadStream{Stream: s, in: bufio.NewReaderSize(s, binary.MaxVarintLen64)})
	})
}

// kadStream refuses to read a request that announces too great a length: kad-dht
// allocates as much memory as was announced before any of it has come.
type kadStream struct {
	network.Stream
	in     *bufio.Reader
	length []byte // of the next request, as still to be handed on
	body   uint64 // still to come of the request under way
}

var errKadRequest = errors.New("request to the DHT is too long")

// Read reads requests, each after its length.
func (s *kadStream) Read(b []byte) (int, error) {
	if len(s.length) == 0 && s.body == 0 {
		if err := s.begin(); err != nil {
			return 0, err
		}
	}
	if len(s.length) > 0 {
		n := copy(b, s.length)
		s.length = s.length[n:]
		return n, nil
	}
	n, err := s.in.Read(b[:min(uint64(len(b)), s.body)])
	s.body -= uint64(n)
	return n, err
}

// begin reads the length of the next request.
func (s *kadStream) begin() error {
	n, err := binary.ReadUvarint(s.in)
	if err != nil {
		return err
	}
	if n > maxKadRequest {
		return errKadRequest
	}
	s.length, s.body = binary.AppendUvarint(nil, n), n
	return nil
}

var _ io.Reader = (*kadStream)(nil)
