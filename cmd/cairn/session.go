package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/node/control"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/p2p"
)

// session is a client in the network, under a fresh identity, so that donors cannot
// link an owner's visits by it.
type session struct {
	client *client.Client
	host   *p2p.Host
}

const (
	answerTime     = 10 * time.Second // for the first peer
	ownNodeTimeout = 2 * time.Second  // for a node that runs on the same home
	attendTime     = 5 * time.Second  // for an owner's groups, once the command is done
)

// openReader joins the network to look round.
func (a *app) openReader(ctx context.Context) (*session, error) {
	h, err := a.openHome()
	if err != nil {
		return nil, err
	}
	return a.openMet(ctx, h, nil)
}

// openFor joins the network to follow a link. A link that names holders can be
// followed before any other peer has answered.
func (a *app) openFor(ctx context.Context, link protocol.Link) (*session, error) {
	if len(link.Hints) == 0 {
		return a.openReader(ctx)
	}
	h, err := a.openHome()
	if err != nil {
		return nil, err
	}
	return a.openSession(ctx, h, nil)
}

// openOwner joins the network as the home's owner, which holds owner/ until
// the command ends.
func (a *app) openOwner(ctx context.Context) (*session, error) {
	h, err := a.openHome()
	if err != nil {
		return nil, err
	}
	o, err := a.openJournal(h)
	if err != nil {
		return nil, err
	}
	s, err := a.openMet(ctx, h, o)
	if err == nil {
		a.attend(ctx, s.client)
	}
	return s, err
}

// openUsed opens owner/ for work that makes sense only where something was put
// before. It returns nil where nothing was, and makes no secret then.
func (a *app) openUsed(h home) (*client.Owner, error) {
	o, err := client.ReopenOwner(h.owner(), a.log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a.onClose(func() { _ = o.Close() })
	return o, nil
}

// openJournal opens owner/, or makes it. It is held until the command ends.
func (a *app) openJournal(h home) (*client.Owner, error) {
	o, err := client.OpenOwner(h.owner(), a.log)
	if err != nil {
		return nil, err
	}
	a.onClose(func() { _ = o.Close() })
	if o.JournalLost() {
		text := fmt.Sprintf("%s was gone or empty, and is begun anew: what was put from this home before can be neither listed, renewed nor deleted", h.owner(journalFile))
		a.ofHome = append(a.ofHome, text) // nobody says it again
		a.warn("%s", text)
	}
	if o.Created() {
		a.note("made this home's secret: %s. Whoever copies it can act as you; without it nobody can free what you store", h.owner("secret"))
	}
	return o, nil
}

// attend sees to an owner's groups while the command works: deletions that some
// holders have not heard of, and leases. It goes on for a little while after the
// command is done; what it does not get to is left for the next command.
func (a *app) attend(ctx context.Context, c *client.Client) {
	if !c.Owes() {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Attend(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("see to groups", "err", err)
		}
	}()
	a.onClose(func() {
		late := time.AfterFunc(attendTime, cancel)
		<-done
		late.Stop()
		cancel()
	})
}

// openMet joins the network and returns when a peer has answered.
func (a *app) openMet(ctx context.Context, h home, o *client.Owner) (*session, error) {
	s, err := a.openSession(ctx, h, o)
	if err != nil {
		return nil, err
	}
	if !waitPeer(ctx, s.host, answerTime) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("enter network %q: %w", a.flags.network, client.ErrNoPeers)
	}
	return s, nil
}

// When a client's garbage is collected. While a command looks for holders, and while
// its buffers are filled for the first time, collecting a dozen times would free
// nothing. After that, collecting early keeps the garbage small compared with the
// buffers: these are of known size and hold no pointers, so it costs next to nothing.
const (
	startGCPercent  = 400 // collects from 16 MB on: the runtime's minimum is 4 MB at 100 %
	clientGCPercent = 15
	bulk            = 32 << 20 // bytes of a file after which its buffers have been filled
)

// thrifty makes the collector run early from now on, if a command has moved at least
// bulk bytes of a file.
func thrifty(moved int64) {
	if moved >= bulk {
		collectEarly()
	}
}

var collectEarly = sync.OnceFunc(func() { debug.SetGCPercent(clientGCPercent) })

func (a *app) openSession(ctx context.Context, h home, o *client.Owner) (*session, error) {
	debug.SetGCPercent(startGCPercent)
	boot, err := parsePeers(a.flags.bootstrap)
	if err != nil {
		return nil, err
	}
	own := a.ownNode(ctx, h)
	if own != nil {
		boot = append(boot, *own)
	}
	host, err := a.startClientHost(ctx, h, boot)
	if err != nil {
		return nil, err
	}
	cfg := client.Config{Network: a.flags.network, Net: host, Owner: o, Log: a.log}
	if own != nil {
		cfg.OwnNode = own.ID
	}
	c := client.New(cfg)
	a.onClose(c.Close)
	return &session{c, host}, nil
}

// ownNode returns where the node that runs on the same home can be reached, if one
// runs and is in the same network.
func (a *app) ownNode(ctx context.Context, h home) *peer.AddrInfo {
	ctx, cancel := context.WithTimeout(ctx, ownNodeTimeout)
	defer cancel()
	var st nodeStatus
	if err := control.Call(ctx, h.node(socketFile), verbStatus, nil, &st); err != nil || st.Network != a.flags.network {
		return nil
	}
	list, err := parsePeers(st.Addrs)
	if err != nil || len(list) == 0 {
		return nil
	}
	return &list[0]
}

// parsePeers reads multiaddrs that end in /p2p and groups those of one peer.
func parsePeers(texts []string) ([]peer.AddrInfo, error) {
	var addrs []multiaddr.Multiaddr
	for _, t := range texts {
		m, err := multiaddr.NewMultiaddr(t)
		if err == nil {
			_, err = peer.AddrInfoFromP2pAddr(m)
		}
		if err != nil {
			return nil, misuse("an address is what a node prints, for instance /ip4/192.0.2.1/tcp/4401/p2p/12D3Koo…", "--bootstrap %q: %v", t, err)
		}
		addrs = append(addrs, m)
	}
	list, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil {
		return nil, fmt.Errorf("--bootstrap: %w", err)
	}
	return list, nil
}

// checkNetwork refuses a name that no network can have.
func (a *app) checkNetwork() error {
	if err := protocol.CheckNetworkName(a.flags.network); err != nil {
		return misuse("a name has lower-case letters, digits and dashes", "--network: %s", wireText(err))
	}
	return nil
}
