package p2p

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/libp2p/zeroconf/v2"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

const (
	maxLocal     = 64 // peers of the local network that are dialled unasked
	localDomain  = "local"
	localPrefix  = "dnsaddr=" // of the TXT records that hold addresses
	localEntries = 64
)

// localSearch finds peers by mDNS.
type localSearch struct {
	h       *Host
	ctx     context.Context
	stop    context.CancelFunc
	service mdns.Service
	wg      sync.WaitGroup

	mu   sync.Mutex
	seen map[peer.ID]bool // guarded by mu
}

// searchLocally looks for peers on the local network and, if this peer listens,
// lets them find it. If that is impossible, it behaves as if there were none.
func (h *Host) searchLocally(ctx context.Context) *localSearch {
	s := &localSearch{h: h, seen: make(map[peer.ID]bool)}
	s.ctx, s.stop = context.WithCancel(ctx)
	name := "_cairn-" + h.cfg.Network + "._udp"
	if len(h.cfg.Listen) == 0 {
		s.browse(name)
		return s
	}
	s.service = mdns.NewMdnsService(h.host, name, s)
	if err := s.service.Start(); err != nil {
		h.log.Info("no search on the local network", "error", err)
	}
	return s
}

func (s *localSearch) close() {
	s.stop()
	if s.service != nil {
		_ = s.service.Close()
	}
	s.wg.Wait()
}

// browse looks for peers without announcing this one, which libp2p's service
// cannot.
func (s *localSearch) browse(name string) {
	entries := make(chan *zeroconf.ServiceEntry, localEntries)
	s.wg.Go(func() {
		if err := zeroconf.Browse(s.ctx, name, localDomain, entries); err != nil {
			s.h.log.Info("no search on the local network", "error", err)
		}
	})
	s.wg.Go(func() {
		for {
			select {
			case e, ok := <-entries:
				if !ok {
					return
				}
				s.found(e.Text)
			case <-s.ctx.Done():
				return
			}
		}
	})
}

// found handles the TXT records of one peer.
func (s *localSearch) found(texts []string) {
	var addrs []multiaddr.Multiaddr
	for _, t := range texts {
		if text, ok := strings.CutPrefix(t, localPrefix); ok {
			if a, err := multiaddr.NewMultiaddr(text); err == nil {
				addrs = append(addrs, a)
			}
		}
	}
	infos, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil {
		return
	}
	for _, info := range infos {
		s.wg.Go(func() { s.HandlePeerFound(info) })
	}
}

// HandlePeerFound connects to a peer on the local network. Its addresses are
// dialled even if they are private.
func (s *localSearch) HandlePeerFound(info peer.AddrInfo) {
	if info.ID == s.h.Self() || protocol.CheckPeer(info.ID) != nil {
		return
	}
	s.mu.Lock()
	fresh := !s.seen[info.ID]
	if fresh && len(s.seen) >= maxLocal {
		s.mu.Unlock()
		return
	}
	s.seen[info.ID] = true
	s.mu.Unlock()
	info.Addrs = slices.DeleteFunc(info.Addrs, func(a multiaddr.Multiaddr) bool { return classOf(a) == classUseless })
	s.h.book.trust(info, false)
	s.h.meet(s.ctx, info.ID)
}
