package p2p

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/lab/fuzz"
)

func TestBookReplacesBootstrap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.json")
	node := startNode(t, Config{})
	client := startClient(t, Config{Book: path}, node)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	again := startClient(t, Config{Book: path}) // nobody given
	if known := again.Known(); !slices.Equal(known, []peer.ID{node.Self()}) {
		t.Fatalf("knows %v", known)
	}
	if s, err := again.Open(deadline(t), node.Self()); err != nil {
		t.Fatal(err)
	} else {
		_ = s.Reset()
	}
}

// TestBookOfBootstrap restarts the peer that all others dialled.
func TestBookOfBootstrap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.json")
	key := newKey(t)
	first := startNode(t, Config{Key: key, Book: path})
	second := startNode(t, Config{}, first)
	eventually(t, "the first meets the second", func() bool { return len(first.Known()) == 1 })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	first = startNode(t, Config{Key: key, Book: path}) // at other ports
	eventually(t, "they meet again", func() bool { return first.Peers() == 1 && second.Peers() == 1 })
}

func TestBookFile(t *testing.T) {
	const many = maxContacts + 100
	path := filepath.Join(t.TempDir(), "peers.json")
	b := newBook()
	now := time.Unix(1_700_000_000, 0)
	var ids []peer.ID
	for i := range many {
		id := newPeerID(t)
		ids = append(ids, id)
		b.serving(id, []multiaddr.Multiaddr{mustAddr(t, "/ip4/192.0.2.1/tcp/1")}, mustAddr(t, "/ip4/192.0.2.1/tcp/2"), now.Add(time.Duration(i)*time.Second))
	}
	if n := len(b.known); n != maxContacts {
		t.Fatalf("%d peers remembered", n)
	}
	if err := b.save(path); err != nil {
		t.Fatal(err)
	}
	again := newBook()
	if err := again.load(path); err != nil {
		t.Fatal(err)
	}
	got := again.peers()
	slices.Reverse(ids)
	if !slices.Equal(got, ids[:savedPeers]) {
		t.Fatalf("%d peers came back, not the %d spoken to last", len(got), savedPeers)
	}
	if !again.isSure(got[0], mustAddr(t, "/ip4/192.0.2.1/tcp/2")) || again.isSure(got[0], mustAddr(t, "/ip4/192.0.2.1/tcp/1")) {
		t.Fatal("what led to a peer and what it only named are confused")
	}
	if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
		t.Fatalf("left behind: %v %v", left, err)
	}
}

func TestDamagedBook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.json")
	for _, text := range []string{"", "{", `{"version":2}`, `{"version":1,"peers":[{"id":"x"}]}`, `{"version":1,"peers":[null]}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		h := start(t, Config{Book: path})
		if err := h.Wait(deadline(t)); !errors.Is(err, ErrAlone) {
			t.Fatalf("book %q: %v", text, err)
		}
	}
}

func FuzzBook(f *testing.F) {
	f.Add([]byte(`{"version":1,"peers":[{"id":"12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN","addrs":["/ip4/192.0.2.1/tcp/1","x"],"sure":-1,"seen":9}]}`))
	fuzz.Run(f, func(t *fuzz.T, raw []byte) {
		b := newBook()
		var err error
		t.Frugal(uint64(1<<20+200*len(raw)), func() { err = b.decode(raw) })
		if err != nil {
			return
		}
		t.Accepted()
		if len(b.peers()) > savedPeers {
			t.Fatal("more peers than a book may hold")
		}
		out, err := b.encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := newBook().decode(out); err != nil {
			t.Fatal("what was written cannot be read: ", err)
		}
	})
}

func TestBookKeepsWhatIsSure(t *testing.T) {
	b := newBook()
	id := newPeerID(t)
	given := mustAddr(t, "/ip4/10.0.0.1/tcp/4401")
	b.trust(peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{given}}, true)
	for i := range 3 * maxContactAddrs {
		b.serving(id, []multiaddr.Multiaddr{mustAddr(t, "/ip4/192.0.2.1/tcp/"+string(rune('1'+i%9))+"0"+string(rune('0'+i/9)))}, nil, time.Unix(int64(i), 0))
	}
	if !b.isSure(id, given) || len(b.addrs(id)) != maxContactAddrs {
		t.Fatalf("kept %v", b.addrs(id))
	}
}
