//go:build unix

package integration

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// identity is a peer that may never have been.
type identity struct {
	key crypto.PrivKey
	id  peer.ID
}

func newIdentity(t *testing.T) identity {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return identity{key, id}
}

// forgedAt is how many nodes are given the forged records: a lookup asks them
// all, so that more would only take longer.
const forgedAt = 6

// maxKeyClaims is how many providers a node keeps of one key (SPEC.md,
// Finding).
const maxKeyClaims = 64

// forger writes provider records for a group into the nodes' DHT, by the raw
// messages of kad-dht: it claims to hold what it does not.
type forger struct {
	t     *testing.T
	w     *town
	group protocol.GroupPrefix
	key   []byte // as the DHT has it
	traps []multiaddr.Multiaddr
}

// newForger aims at the provider records of a group.
func newForger(t *testing.T, w *town, g protocol.GroupPrefix) *forger {
	t.Helper()
	k := protocol.FindKey(g)
	f := &forger{t: t, w: w, group: g, key: append([]byte{0x12, 0x20}, k[:]...)} // sha2-256 multihash
	f.trap()
	return f
}

// trap opens ports behind which nobody serves: a dial ends refused, or hangs.
func (f *forger) trap() {
	f.t.Helper()
	for range 4 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		f.w.must(err)
		port := l.Addr().(*net.TCPAddr).Port
		f.t.Cleanup(func() { _ = l.Close() })
		go hold(l)
		f.traps = append(f.traps, loopback(port), loopback(f.w.freePort()))
	}
}

func loopback(port int) multiaddr.Multiaddr {
	return multiaddr.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port))
}

// hold accepts and says nothing.
func hold(l net.Listener) {
	var held []net.Conn
	for {
		c, err := l.Accept()
		if err != nil {
			for _, c := range held {
				_ = c.Close()
			}
			return
		}
		held = append(held, c)
	}
}

// forge has count peers, each with an identity of its own, claim to provide
// the group, at every node that runs.
func (f *forger) forge(count int) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.w.ctx, patience)
	defer cancel()
	targets := f.answering(ctx)
	begun := time.Now()
	taken := make([]int, len(targets))
	var mu sync.Mutex
	limit := make(chan struct{}, 8)
	var all sync.WaitGroup
	for i := range count {
		limit <- struct{}{}
		all.Go(func() {
			defer func() { <-limit }()
			for at, ok := range f.claim(ctx, i, targets) {
				mu.Lock()
				if ok {
					taken[at]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	found := f.w.lookup(f.group)
	f.t.Logf("%d peers forged provider records in %s; the nodes took %v, a lookup yields %d", count, time.Since(begun).Round(time.Millisecond), taken, found)
	switch most := maxKeyClaims * len(f.w.Nodes()); {
	case found < maxKeyClaims/2:
		f.t.Errorf("a lookup yields %d of %d forged records: the test tests nothing", found, count)
	case found > most:
		f.t.Errorf("a lookup yields %d records, of which the nodes may keep %d", found, most)
	}
}

// answering returns the nodes that take a record now: one that hangs would
// hold up a thousand forgers in turn.
func (f *forger) answering(ctx context.Context) []peer.AddrInfo {
	f.t.Helper()
	var all, out []peer.AddrInfo
	for _, text := range f.w.Bootstrap(len(f.w.Nodes())) {
		info, err := peer.AddrInfoFromString(text)
		f.w.must(err)
		all = append(all, *info)
	}
	for at, ok := range f.claim(ctx, 0, all) {
		if ok && len(out) < forgedAt {
			out = append(out, all[at])
		}
	}
	return out
}

// claim sends one forged record to each target that answers.
func (f *forger) claim(ctx context.Context, i int, targets []peer.AddrInfo) []bool {
	ok := make([]bool, len(targets))
	who := newIdentity(f.t)
	h, err := libp2p.New(libp2p.Identity(who.key), libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.DisableRelay(), libp2p.Security(noise.ID, noise.New))
	if err != nil {
		f.t.Error(err)
		return nil
	}
	defer func() { _ = h.Close() }()
	msg := addProvider(f.key, who.id, f.traps[i%len(f.traps)])
	for at, to := range targets {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		ok[at] = send(ctx, h, to, msg) == nil
		cancel()
	}
	return ok
}

// addProvider is kad-dht's ADD_PROVIDER message, by its protobuf, after its
// length.
func addProvider(key []byte, id peer.ID, addr multiaddr.Multiaddr) []byte {
	field := func(b []byte, number int, v []byte) []byte {
		b = binary.AppendUvarint(b, uint64(number<<3|2))
		return append(binary.AppendUvarint(b, uint64(len(v))), v...)
	}
	provider := field(field(nil, 1, []byte(id)), 2, addr.Bytes())
	msg := []byte{1 << 3, 2} // type: ADD_PROVIDER
	msg = field(field(msg, 2, key), 9, provider)
	return append(binary.AppendUvarint(nil, uint64(len(msg))), msg...)
}

// send puts one DHT message on a stream of its own.
func send(ctx context.Context, h host.Host, to peer.AddrInfo, msg []byte) error {
	if err := h.Connect(ctx, to); err != nil {
		return err
	}
	s, err := h.NewStream(ctx, to.ID, "/cairn/test/kad/1.0.0")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = s.SetDeadline(deadline)
	}
	if _, err := s.Write(msg); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	_, _ = s.Read(make([]byte, 1)) // ends when the node has read it
	return nil
}
