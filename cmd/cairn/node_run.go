package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/control"
	"github.com/cairnstore/cairn/protocol/p2p"
	"github.com/cairnstore/cairn/storage"
)

// How a node starts and ends.
const (
	defaultPort = 4401
	portTries   = 20
	firstFree   = 49152 // from here on no port is registered
	lastFree    = 65535
	settleTime  = 3 * time.Second // for a peer to answer before the node says that it is alone
	stopTime    = 10 * time.Second
)

// The verbs of the control socket.
const (
	verbStatus = "status"
	verbInvite = "invite"
	verbDoctor = "doctor"
	verbHealth = "health"

	verbAway      = "away"
	verbPause     = "pause"
	verbResume    = "resume"
	verbDrain     = "drain"
	verbStopDrain = "drain-cancel"
	verbProgress  = "drain-progress"
)

// nodeStatus is what node status --json shows.
type nodeStatus = node.Status

// nodeStart is what a node is started with; it is filled in while the node starts.
type nodeStart struct {
	flags    nodeFlags
	listen   []multiaddr.Multiaddr // given; empty: the default port
	gifts    []gift
	settings nodeSettings
	terms    contract.Terms
	timing   node.Timing

	key     string       // path of the identity
	metrics *metricsDoor // nil: none
	host    *p2p.Host
	stores  *storage.Disks
	node    *node.Node
	moved   int // the port taken instead of the usual one; 0: the usual one
}

// runNode assembles a node, says what it does, and waits for its end.
func (a *app) runNode(ctx context.Context, h home, s *nodeStart) error {
	key, err := nodeKey(h)
	if err != nil {
		return err
	}
	s.key = h.node(keyFile)
	if err := a.keepNetwork(&s.settings); err != nil {
		return err
	}
	if s.flags.metrics != "" {
		if s.metrics, err = a.openMetrics(s.flags.metrics); err != nil {
			return err
		}
	}
	if err := a.openStores(h, s, key); err != nil {
		return err
	}
	if err := a.openHost(ctx, h, s, key); err != nil {
		return err
	}
	s.node, err = node.New(node.Config{
		Network: a.flags.network, Agent: agent(), Net: s.host, Key: key, Store: s.stores, Donated: total(s.gifts),
		Stores: s.storeRows, Reach: s.reach, Scrub: scrubConfig(h), Contract: contractConfig(h, s.terms), Timing: s.timing, NoRepair: s.flags.timing.noRepair, Log: a.log,
	})
	if err != nil {
		return err
	}
	s.host.Serve(s.node.Serve)
	ctl, err := control.Listen(h.node(socketFile), a.verbs(s))
	if err != nil {
		return err
	}
	a.onClose(func() { _ = ctl.Close() })
	if s.metrics != nil {
		if err := s.metrics.serve(a, s.node); err != nil {
			return err
		}
	}
	return a.serveNode(ctx, s)
}

// scrubConfig keeps in the home how far the scrub of the disks is.
func scrubConfig(h home) node.ScrubConfig {
	path := h.node(scrubFile)
	return node.ScrubConfig{
		Load: func() ([]byte, error) { return readSaved(path) },
		Save: func(b []byte) error { return writeWhole(path, b) },
	}
}

// serveNode runs the node while it introduces it, and then until ctx ends.
func (a *app) serveNode(ctx context.Context, s *nodeStart) error {
	ended := make(chan error, 1)
	go func() { ended <- s.node.Run(ctx) }()
	if err := a.introduce(ctx, s); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return errors.Join(errors.New("the node ended by itself"), err)
	case <-ctx.Done():
	}
	a.note("ending: finishing what is under way")
	late := time.AfterFunc(stopTime, func() { os.Exit(statusDone) }) // what is acknowledged is synced
	defer late.Stop()
	if err := <-ended; err != nil {
		a.note("%v; who asked will ask again", err)
	}
	a.close()
	return nil
}

// keepNetwork goes on with the network that the node's stores serve: what they keep
// is useless in any other.
func (a *app) keepNetwork(set *nodeSettings) error {
	switch {
	case set.Network == "":
		set.Network = a.flags.network
	case set.Network == a.flags.network:
	case a.flags.network == defaultNetwork:
		a.note("network %q, as last time", set.Network)
		a.flags.network = set.Network
	default:
		return misuse("start it with --network "+set.Network+", or another node from another --home",
			"node: what it keeps is of network %q, not %q", set.Network, a.flags.network)
	}
	return nil
}

func (a *app) openStores(h home, s *nodeStart, key crypto.PrivKey) error {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return fmt.Errorf("read the node's key: %w", err)
	}
	var stores []storage.Store
	for i, g := range s.gifts {
		d, err := storage.OpenFolder(storage.Config{Dir: g.Dir, Owner: id.String(), Quota: g.Bytes, Existing: g.Made, Log: a.log})
		if err != nil {
			return explainStore(g, err)
		}
		a.onClose(func() { _ = d.Close() })
		stores = append(stores, d)
		s.gifts[i].Made = true
	}
	s.stores = storage.NewDisks(stores...)
	s.settings.Stores = s.gifts
	return s.settings.write(h)
}

func explainStore(g gift, err error) error {
	switch {
	case errors.Is(err, storage.ErrForeign):
		return withHint(err, "each node has folders of its own: --donate SIZE:DIR names another")
	case errors.Is(err, storage.ErrSuspended):
		return withHint(err, "mount the disk, then start again; to go on without it, name the other folders by --donate")
	case errors.Is(err, syscall.EROFS):
		return withHint(err, "the disk is mounted read-only, as after an error: look at its health, mount it for writing, then start again; to go on without it, name the other folders by --donate")
	case errors.Is(err, storage.ErrInUse):
		return withHint(err, "another node runs on that folder: stop it, or name another by --donate SIZE:DIR")
	}
	return err
}

// storeRows returns the state of each store, for status.
func (s *nodeStart) storeRows() []node.StoreStatus {
	var rows []node.StoreStatus
	for i, u := range s.stores.Usages() {
		rows = append(rows, node.NewStoreStatus(s.gifts[i].Dir, u))
	}
	return rows
}

// openHost starts listening: at the addresses given, else at the usual port, else at
// a free one, which it remembers.
func (a *app) openHost(ctx context.Context, h home, s *nodeStart, key crypto.PrivKey) error {
	boot, err := parsePeers(a.flags.bootstrap)
	if err != nil {
		return err
	}
	cfg := a.hostConfig(h.node(peersFile), boot)
	cfg.Key, cfg.Server, cfg.MDNS, cfg.Public = key, true, !a.flags.noMDNS, s.flags.public
	cfg.PortMap = true
	if s.metrics != nil {
		cfg.Registerer = s.metrics.registry
	}
	if len(s.listen) > 0 {
		cfg.Listen = s.listen
		s.host, err = p2p.New(ctx, cfg)
		if errors.Is(err, p2p.ErrPortTaken) {
			return withHint(err, "another program listens there: stop it, or choose another port by --listen")
		}
	} else {
		err = s.findPort(ctx, h, cfg)
	}
	if err != nil {
		return err
	}
	a.onClose(func() { _ = s.host.Close() })
	return nil
}

// findPort listens at the port remembered from last time, the usual one, or a free
// one.
func (s *nodeStart) findPort(ctx context.Context, h home, cfg p2p.Config) error {
	port := s.settings.Port
	if port == 0 {
		port = defaultPort
	}
	for range portTries {
		cfg.Listen = defaultListen(port)
		host, err := p2p.New(ctx, cfg)
		if err == nil {
			s.host = host
			if port != defaultPort {
				s.moved = port
			}
			s.settings.Port = port
			return s.settings.write(h)
		}
		if !errors.Is(err, p2p.ErrPortTaken) {
			return err
		}
		port = firstFree + rand.IntN(lastFree-firstFree+1)
	}
	return withHint(errors.New("listen: no free port found"), "choose addresses by --listen")
}

func (a *app) verbs(s *nodeStart) map[string]control.Handler {
	verbs := map[string]control.Handler{
		verbStatus: func(context.Context, json.RawMessage) (any, error) { return s.node.Status(), nil },
		verbInvite: func(context.Context, json.RawMessage) (any, error) { return a.nodeInvitation(s) },
		verbDoctor: func(context.Context, json.RawMessage) (any, error) { return s.facts(), nil },
		verbHealth: healthVerb(s.node),
	}
	maps.Copy(verbs, stanceVerbs(s.node))
	return verbs
}
