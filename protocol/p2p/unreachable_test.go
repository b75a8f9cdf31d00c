package p2p

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"github.com/cairnstore/cairn/protocol"
)

// TestUnreachableInAFewWords: an error for people is one line, and still tells
// programs its cause.
func TestUnreachableInAFewWords(t *testing.T) {
	odd := errors.New("odd")
	for want, cause := range map[string]error{
		"no address to dial": fmt.Errorf("failed to dial: %w", swarm.ErrNoAddresses),
		"connection refused": &swarm.DialError{DialErrors: []swarm.TransportError{{Cause: odd}, {Cause: syscall.ECONNREFUSED}}},
		"no answer in time":  context.DeadlineExceeded,
		"":                   odd,
	} {
		err := &unreachable{"peer", cause}
		if !errors.Is(err, protocol.ErrUnreachable) || !errors.Is(err, cause) || !strings.HasSuffix(err.Error(), "peer unreachable"+strings.TrimSuffix(": "+want, ": ")) {
			t.Errorf("%v: %v", cause, err)
		}
	}
	gone := startNode(t, Config{})
	info := infos(gone)[0]
	client := startClient(t, Config{}, startNode(t, Config{}))
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	client.Learn(info)
	_, err := client.Open(t.Context(), info.ID)
	if err == nil || len(err.Error()) > 100 || strings.Contains(err.Error(), "\n") || !strings.HasSuffix(err.Error(), "connection refused") {
		t.Errorf("a node that is gone: %v", err)
	}
}
