//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/p2p"
)

const (
	networkName = "cairn" // the program's default
	meetTimeout = 10 * time.Second
)

// warm is a client in this process, whose start is over and costs nothing any
// more.
type warm struct {
	*client.Client
	net   *counted
	host  *p2p.Host
	owner *client.Owner
}

// counted is a Network that counts the questions to the DHT.
type counted struct {
	protocol.Network
	asked atomic.Int64
}

// Closest counts and asks.
func (c *counted) Closest(ctx context.Context, key protocol.Key) ([]peer.ID, error) {
	c.asked.Add(1)
	return c.Network.Closest(ctx, key)
}

// Providers counts and asks.
func (c *counted) Providers(ctx context.Context, key protocol.Key) iter.Seq[peer.ID] {
	c.asked.Add(1)
	return c.Network.Providers(ctx, key)
}

// client starts a client in this process. It has keys of its own if owns is true.
func (n *network) client(ctx context.Context, name string, owns bool) (*warm, error) {
	var boot []peer.AddrInfo
	for _, text := range n.lab.Bootstrap(3) {
		a, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return nil, err
		}
		info, err := peer.AddrInfoFromP2pAddr(a)
		if err != nil {
			return nil, err
		}
		boot = append(boot, *info)
	}
	host, err := p2p.New(ctx, p2p.Config{Network: networkName, Bootstrap: boot})
	if err != nil {
		return nil, err
	}
	w := &warm{net: &counted{Network: host}, host: host}
	cfg := client.Config{Network: networkName, Net: w.net}
	if owns {
		if w.owner, err = client.OpenOwner(filepath.Join(n.lab.Home(name), "owner"), nil); err != nil {
			w.close()
			return nil, err
		}
		cfg.Owner = w.owner
	}
	w.Client = client.New(cfg)
	meet, cancel := context.WithTimeout(ctx, meetTimeout)
	defer cancel()
	if err := host.Wait(meet); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *warm) close() {
	if w.Client != nil {
		w.Client.Close()
	}
	if w.owner != nil {
		_ = w.owner.Close()
	}
	_ = w.host.Close()
}

// figures measures what a client in this process does on a network in which
// nobody is missing.
func (n *network) figures(ctx context.Context) (all []figure, err error) {
	for _, measure := range []func(context.Context) ([]figure, error){n.small, n.ranges, n.questions} {
		f, err := measure(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, f...)
	}
	return all, nil
}

const (
	rangeFile   = 1 << 30
	rangeLength = 1 << 20
	rangeRounds = 25
)

// ranges reads a mebibyte here and there in the middle of a large file.
func (n *network) ranges(ctx context.Context) ([]figure, error) {
	file := *n
	file.size = rangeFile
	if _, err := file.put(ctx); err != nil {
		return nil, fmt.Errorf("put for ranges: %w", err)
	}
	w, err := n.client(ctx, "reader", false)
	if err != nil {
		return nil, err
	}
	defer w.close()
	link, err := protocol.ParseLink(file.links[len(file.links)-1])
	if err != nil {
		return nil, err
	}
	f, err := w.Open(ctx, link)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var times []float64
	var most [2]int // holders, of the first read of a range and of the second
	for i := range rangeRounds + 1 {
		off := rangeFile/4 + rng.Int64N(rangeFile/2)
		for pass := range most {
			took, touched, err := n.readRange(ctx, f, off)
			if err != nil {
				return nil, err
			}
			if i == 0 {
				continue // it still learns who is fast
			}
			if pass == 0 {
				times = append(times, 1000*took.Seconds())
			}
			most[pass] = max(most[pass], touched)
		}
	}
	return []figure{
		{"1 MiB in the middle of 1 GiB, warm client, median", middle(times), "ms", "≤ 20"},
		{"holders that it touches, at most", float64(most[0]), "", "≤ 2"},
		{"where its segments were read before (decision 0014)", float64(most[1]), "", "≤ 2"},
	}, nil
}

// readRange reads one range, and counts the holders that were asked.
func (n *network) readRange(ctx context.Context, f *client.File, off int64) (took time.Duration, touched int, err error) {
	before, err := n.gets(ctx)
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if _, err := f.ReadAt(ctx, make([]byte, rangeLength), off); err != nil {
		return 0, 0, fmt.Errorf("read a range: %w", err)
	}
	took = time.Since(begun)
	after, err := n.gets(ctx)
	return took, changed(before, after), err
}

func changed(before, after map[string]int64) (n int) {
	for id, gets := range after {
		if gets != before[id] {
			n++
		}
	}
	return n
}

// nodeStatus is what is read of `cairn node status --json`.
type nodeStatus struct {
	Announced int64 `json:"announced"`
	Traffic   struct {
		Gets int64 `json:"gets"`
	} `json:"traffic"`
}

// status asks each node that runs.
func (n *network) status(ctx context.Context) (map[string]nodeStatus, error) {
	out := make(map[string]nodeStatus)
	for _, node := range n.lab.Nodes() {
		r, err := n.lab.Run(ctx, node.Home, nil, "node", "status", "--json")
		var s nodeStatus
		if err == nil {
			err = json.Unmarshal(bytes.TrimSpace(r.Stdout), &s)
		}
		if err != nil {
			return nil, fmt.Errorf("status of %s: %w", node.Name, err)
		}
		out[node.Name] = s
	}
	return out, nil
}

func (n *network) gets(ctx context.Context) (map[string]int64, error) {
	all, err := n.status(ctx)
	gets := make(map[string]int64)
	for name, s := range all {
		gets[name] = s.Traffic.Gets
	}
	return gets, err
}

func (n *network) announced(ctx context.Context) (sum int64, err error) {
	all, err := n.status(ctx)
	for _, s := range all {
		sum += s.Announced
	}
	return sum, err
}

// questions counts what a put and a get ask of the DHT although they should not
// need it: a put into an open group, and a get from holders that the link names.
func (n *network) questions(ctx context.Context) ([]figure, error) {
	before, err := n.announced(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := n.put(ctx); err != nil {
		return nil, err
	}
	after, err := n.announced(ctx)
	if err != nil {
		return nil, err
	}
	w, err := n.client(ctx, "hinted", true)
	if err != nil {
		return nil, err
	}
	defer w.close()
	content := make([]byte, 1<<20)
	res, err := w.Put(ctx, client.Source{Reader: bytes.NewReader(content), Name: "hinted", Size: int64(len(content))},
		client.PutOptions{Profile: n.profile, Hints: true, Wait: time.Minute})
	if err != nil {
		return nil, err
	}
	reader, err := n.client(ctx, "", false)
	if err != nil {
		return nil, err
	}
	defer reader.close()
	f, err := reader.Open(ctx, res.Link)
	if err == nil {
		_, err = f.ReadAt(ctx, content, 0)
	}
	if err != nil {
		return nil, errors.Join(errors.New("get by hints"), err)
	}
	return []figure{
		{"keys announced for a put into an open group", float64(after - before), "", "0"},
		{"questions to the DHT by a get with living hints", float64(reader.net.asked.Load()), "", "0"},
	}, nil
}
