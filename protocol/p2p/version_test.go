package p2p

import (
	"testing"

	"github.com/cairnstore/cairn/protocol"
)

// TestHighestCommonVersion: a peer offers every version up to its own, and two
// peers speak the highest that both know, whichever of them asks.
func TestHighestCommonVersion(t *testing.T) {
	for _, c := range []struct{ node, client, spoken int }{
		{1, 1, 1}, {1, 2, 1}, {2, 1, 1}, {2, 2, 2}, {3, 2, 2}, {2, 3, 2},
	} {
		node := startNode(t, Config{Version: c.node})
		spoken := make(chan string, 1)
		node.Serve(func(s protocol.Stream) {
			spoken <- string(s.(*stream).Protocol())
			_ = s.Close()
		})
		client := startClient(t, Config{Version: c.client}, node)
		s, err := client.Open(t.Context(), node.Self())
		if err != nil {
			t.Fatalf("a node that speaks 1 to %d, a client that speaks 1 to %d: %v", c.node, c.client, err)
		}
		// The first bytes settle which version it is.
		if _, err := s.Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
		want := protocol.StreamProtocol(node.cfg.Network, c.spoken)
		if got := <-spoken; got != want {
			t.Errorf("a node that speaks 1 to %d, a client that speaks 1 to %d: they speak %s, not %s", c.node, c.client, got, want)
		}
		if client.Peers() != 1 || len(client.Known()) != 1 {
			t.Errorf("the client does not count the node: %d peers, %v known", client.Peers(), client.Known())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
