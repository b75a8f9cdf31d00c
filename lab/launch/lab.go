package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Defaults of a Config.
const (
	DefaultDonate = "4GB"
	envPrefix     = "CAIRN_"
)

// Config says which program is run, where and how.
type Config struct {
	Binary     string   // path of the cairn program
	NodeBinary string   // path of another program for the nodes, which takes the same flags; empty: Binary
	Dir        string   // of the homes; empty: a temporary folder, removed by Close
	Network    string   // name; empty: the program's default
	Donate     string   // what each node gives, as --donate takes it; empty: DefaultDonate
	Listen     []string // multiaddrs; empty: 127.0.0.1, TCP and QUIC, ports chosen by the system
	NodeArgs   []string // further flags of every node; --listen and --donate in it, or of one node alone, replace the above
	Env        []string // KEY=value, on top of this process's environment without CAIRN_…
}

// Lab is a folder of nodes.
type Lab struct {
	cfg  Config
	dir  string
	temp bool

	mu     sync.Mutex
	nodes  []*Node
	closed bool
}

// New makes the folder. Close must follow.
func New(cfg Config) (*Lab, error) {
	if cfg.Donate == "" {
		cfg.Donate = DefaultDonate
	}
	if cfg.NodeBinary == "" {
		cfg.NodeBinary = cfg.Binary
	}
	if len(cfg.Listen) == 0 {
		cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	}
	l := &Lab{cfg: cfg, dir: cfg.Dir}
	if l.dir == "" {
		dir, err := os.MkdirTemp("", "cairn-lab-")
		if err != nil {
			return nil, fmt.Errorf("make lab: %w", err)
		}
		l.dir, l.temp = dir, true
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make lab: %w", err)
	}
	return l, nil
}

// Dir returns the folder of the homes.
func (l *Lab) Dir() string { return l.dir }

// Keep lets the temporary folder survive Close.
func (l *Lab) Keep() { l.temp = false }

// Nodes returns every node that was ever started, in order, dead ones too.
func (l *Lab) Nodes() []*Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Node(nil), l.nodes...)
}

// Node returns the node of a peer ID, or nil.
func (l *Lab) Node(peer string) *Node {
	for _, n := range l.Nodes() {
		if n.Peer() == peer {
			return n
		}
	}
	return nil
}

// Bootstrap returns one address each of at most most nodes that run, are not
// frozen and are not in skip.
func (l *Lab) Bootstrap(most int, skip ...*Node) []string {
	var out []string
	for _, n := range l.Nodes() {
		if len(out) == most {
			break
		}
		if addr := n.addr(); n.awake() && addr != "" && !contains(skip, n) {
			out = append(out, addr)
		}
	}
	return out
}

func contains(list []*Node, n *Node) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

// AddNodes starts count more nodes together, each bootstrapped by up to three
// that run already; if none runs, the first of them is started alone. It returns
// when all are ready, or with the first error, which repeats what the node last
// said.
func (l *Lab) AddNodes(ctx context.Context, count int, args ...string) ([]*Node, error) {
	var made []*Node
	if len(l.Bootstrap(1)) == 0 && count > 0 {
		first, err := l.newNode(args)
		if err != nil {
			return nil, err
		}
		if err := first.start(ctx, nil); err != nil {
			return nil, err
		}
		made = append(made, first)
	}
	boot := l.Bootstrap(3)
	var all errgroup.Group
	for len(made) < count {
		n, err := l.newNode(args)
		if err != nil {
			return made, errors.Join(err, all.Wait())
		}
		made = append(made, n)
		all.Go(func() error { return n.start(ctx, boot) })
	}
	return made, all.Wait()
}

func (l *Lab) newNode(args []string) (*Node, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.New("start node: the lab is closed")
	}
	name := fmt.Sprintf("node-%02d", len(l.nodes)+1)
	n := &Node{lab: l, Name: name, Home: filepath.Join(l.dir, name), args: args}
	if err := os.MkdirAll(n.Home, 0o700); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	l.nodes = append(l.nodes, n)
	return n, nil
}

// Close kills every node and removes the folder, if it is a temporary one.
func (l *Lab) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	var errs []error
	for _, n := range l.Nodes() {
		errs = append(errs, n.Kill())
	}
	if l.temp {
		errs = append(errs, os.RemoveAll(l.dir))
	}
	return errors.Join(errs...)
}

// env returns the environment of every process of the lab, which is free of the
// caller's own settings of the program.
func (l *Lab) env() []string {
	var out []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, envPrefix) {
			out = append(out, kv)
		}
	}
	return append(out, l.cfg.Env...)
}
