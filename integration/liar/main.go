// Command liar is a storage node of the integration tests, started with the
// flags of "cairn node" as lab/launch gives them. It is honest until a file
// "lie" in its home names a lie of lab/liar; from then on each new stream is
// answered by that lie. Where its home has a folder "wire" it keeps there all
// that streams carry, as they look once the transport's cipher is off.
//
// It exists so that the program that people run needs no way of doing either.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/lab/liar"
	"github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/p2p"
	"github.com/cairnstore/cairn/storage"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "liar:", err)
		os.Exit(1)
	}
}

// settings are the flags that are understood.
type settings struct {
	home, network string
	donate        int64 // bytes
	listen        []multiaddr.Multiaddr
	bootstrap     []multiaddr.Multiaddr
}

func parse(args []string) (*settings, error) {
	if len(args) == 0 || args[0] != "node" {
		return nil, errors.New("it can only be a node")
	}
	s := new(settings)
	f := flag.NewFlagSet("liar", flag.ContinueOnError)
	f.StringVar(&s.home, "home", "", "")
	f.StringVar(&s.network, "network", "cairn", "")
	f.Func("donate", "bytes", func(text string) (err error) {
		s.donate, err = strconv.ParseInt(text, 10, 64)
		return err
	})
	f.Func("listen", "multiaddr", into(&s.listen))
	f.Func("bootstrap", "multiaddr", into(&s.bootstrap))
	f.Bool("json", true, "")
	f.Bool("no-mdns", true, "")
	return s, f.Parse(args[1:])
}

func into(list *[]multiaddr.Multiaddr) func(string) error {
	return func(text string) error {
		m, err := multiaddr.NewMultiaddr(text)
		*list = append(*list, m)
		return err
	}
}

func run(args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	key, err := identity(filepath.Join(s.home, "key"))
	if err != nil {
		return err
	}
	boot, err := peer.AddrInfosFromP2pAddrs(s.bootstrap...)
	if err != nil {
		return err
	}
	host, err := p2p.New(ctx, p2p.Config{Network: s.network, Key: key, Listen: s.listen, Server: true, Bootstrap: boot})
	if err != nil {
		return err
	}
	defer func() { _ = host.Close() }()
	store, err := storage.Open(storage.Config{Dir: filepath.Join(s.home, "store"), Owner: host.Self().String(), Quota: s.donate})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	n, err := node.New(node.Config{Network: s.network, Agent: "liar", Net: host, Key: key, Store: store, Donated: s.donate})
	if err != nil {
		return err
	}
	w := &wrapper{ctx: ctx, node: n, home: s.home}
	host.Serve(w.serve)
	ready(host)
	return n.Run(ctx)
}

// identity reads the node's key, or draws one.
func identity(path string) (crypto.PrivKey, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return crypto.UnmarshalPrivateKey(b)
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	if b, err = crypto.MarshalPrivateKey(key); err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, b, 0o600)
}

// ready prints the event by which a launcher knows that a node serves.
func ready(host *p2p.Host) {
	e := struct {
		Event string   `json:"event"`
		Peer  string   `json:"peer"`
		Addrs []string `json:"addrs"`
	}{Event: "ready", Peer: host.Self().String()}
	for _, a := range host.Addrs() {
		e.Addrs = append(e.Addrs, a.String())
	}
	b, err := json.Marshal(e)
	if err == nil {
		fmt.Println(string(b))
	}
}

// wrapper stands between the network and the honest node.
type wrapper struct {
	ctx  context.Context
	node *node.Node
	home string
}

// serve answers one stream, honestly or not.
func (w *wrapper) serve(s protocol.Stream) {
	s, done := w.tap(s)
	defer done()
	text, err := os.ReadFile(filepath.Join(w.home, "lie"))
	if errors.Is(err, fs.ErrNotExist) {
		w.node.Serve(s)
		return
	}
	lie := liar.Lie(strings.TrimSpace(string(text)))
	_ = protocol.Serve(w.ctx, s, liar.Wrap(w.node, lie, uint64(os.Getpid())))
}
