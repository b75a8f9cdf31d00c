package p2p

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// sparing refuses every Put immediately, and reads none of it.
type sparing struct{ protocol.Handler }

func (sparing) Put(context.Context, protocol.Remote, *protocol.PutRequest, io.Reader) (*protocol.PutReply, error) {
	return nil, protocol.Unread(protocol.Refuse(protocol.CodeBudget, "not today"))
}

// counted counts what is read of a stream.
type counted struct {
	protocol.Stream
	n *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// A holder may refuse a shard without reading it: the refusal arrives over
// either transport, the bytes do not, and the next request works.
func TestRefusedUnread(t *testing.T) {
	for name, addr := range map[string]string{"tcp": "/ip4/127.0.0.1/tcp/0", "quic": "/ip4/127.0.0.1/udp/0/quic-v1"} {
		t.Run(name, func(t *testing.T) {
			if name == "tcp" && testing.Short() {
				t.Skip("the asking side writes for 20 s")
			}
			node := startNode(t, Config{Listen: []multiaddr.Multiaddr{mustAddr(t, addr)}})
			var read atomic.Int64
			node.Serve(func(s protocol.Stream) {
				_ = protocol.Serve(context.Background(), counted{s, &read}, sparing{})
			})
			client := startClient(t, Config{}, node)
			c := protocol.NewCaller(client)
			defer c.Close()
			shard := make([]byte, protocol.MaxShardSize)
			for range 2 {
				begun := time.Now()
				if err := c.Put(t.Context(), node.Self(), &protocol.PutRequest{}, shard); !errors.Is(err, protocol.ErrBudget) {
					t.Errorf("after %v: %v", time.Since(begun), err)
				}
			}
			if read.Load() > 64<<10 {
				t.Errorf("%d bytes were read", read.Load())
			}
		})
	}
}
