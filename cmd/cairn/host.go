package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol/group"
	"github.com/cairnstore/cairn/protocol/p2p"
)

// hostConfig is what nodes and clients have in common.
func (a *app) hostConfig(book string, boot []peer.AddrInfo) p2p.Config {
	return p2p.Config{Network: a.flags.network, Bootstrap: boot, Book: book, MDNS: !a.flags.noMDNS, Log: a.log}
}

// startClientHost joins the network under a fresh identity, listening nowhere.
func (a *app) startClientHost(ctx context.Context, h home, boot []peer.AddrInfo) (*p2p.Host, error) {
	book := h.owner(cacheDir, peersFile)
	if err := os.MkdirAll(filepath.Dir(book), 0o700); err != nil {
		return nil, fmt.Errorf("open home: %w", err)
	}
	host, err := p2p.New(ctx, a.hostConfig(book, boot))
	if err != nil {
		return nil, err
	}
	a.onClose(func() { _ = host.Close() })
	return host, nil
}

// waitPeer waits until a peer answers, and reports whether one did. It gives up
// when all known peers were tried.
func waitPeer(ctx context.Context, host *p2p.Host, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return host.Wait(ctx) == nil
}

// addrs returns the node's addresses, first those that most others can dial:
// public ones before private ones before this machine's own, TCP before QUIC.
func (s *nodeStart) addrs() []string {
	var out []string
	for _, m := range s.host.Addrs() {
		out = append(out, m.String())
	}
	slices.SortStableFunc(out, func(x, y string) int { return addrRank(x) - addrRank(y) })
	return out
}

// rankLocal is the rank from which on an address works on this machine only.
const rankLocal = 4

func addrRank(addr string) int {
	rank := 0
	if m, err := multiaddr.NewMultiaddr(addr); err == nil {
		at, _ := group.Observed(m)
		switch {
		case at.IsLoopback():
			rank = rankLocal
		case group.IsPrivate(at):
			rank = 2
		}
	}
	if !strings.Contains(addr, "/tcp/") {
		rank++
	}
	return rank
}
