package group

import (
	"net/netip"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/lab/fuzz"
)

func TestAddrDomain(t *testing.T) {
	for _, c := range []struct{ addr, domain, wide string }{
		{"203.0.113.9", "203.0.113.0/24", "203.0.0.0/16"},
		{"::ffff:203.0.113.9", "203.0.113.0/24", "203.0.0.0/16"},
		{"2a01:4f8:c0c:1234::1", "2a01:4f8:c0c::/48", "2a01:4f8::/32"},
		{"64:ff9b::203.0.113.9", "203.0.113.0/24", "203.0.0.0/16"},
		{"2002:cb00:7109::1", "203.0.113.0/24", "203.0.0.0/16"},
		{"10.1.2.3", "local network", ""},
		{"127.0.0.1", "local network", ""},
		{"192.168.1.1", "local network", ""},
		{"172.31.0.1", "local network", ""},
		{"172.32.0.1", "172.32.0.0/24", "172.32.0.0/16"},
		{"100.64.0.1", "local network", ""},
		{"100.128.0.1", "100.128.0.0/24", "100.128.0.0/16"},
		{"169.254.9.9", "local network", ""},
		{"fe80::1%eth0", "local network", ""},
		{"fd00::1", "local network", ""},
		{"::1", "local network", ""},
		{"", "unknown address", ""},
	} {
		var a netip.Addr
		if c.addr != "" {
			a = netip.MustParseAddr(c.addr)
		}
		d := AddrDomain(a)
		wide := ""
		if w, ok := d.Wide(); ok {
			wide = w.String()
		}
		if d.String() != c.domain || wide != c.wide {
			t.Errorf("%q: domain %s, wide %q; want %s, %q", c.addr, d, wide, c.domain, c.wide)
		}
	}
}

const relayID = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

func TestObserved(t *testing.T) {
	relay, err := peer.Decode(relayID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text, addr string
		relay      peer.ID
	}{
		{"/ip4/203.0.113.9/tcp/4401", "203.0.113.9", ""},
		{"/ip4/203.0.113.9/udp/4401/quic-v1/p2p/" + relayID, "203.0.113.9", ""},
		{"/ip6/::ffff:203.0.113.9/tcp/4401", "203.0.113.9", ""},
		{"/ip6zone/eth0/ip6/fe80::1/tcp/1", "fe80::1", ""},
		{"/ip4/198.51.100.1/tcp/4401/p2p/" + relayID + "/p2p-circuit", "198.51.100.1", relay},
		{"/p2p/" + relayID + "/p2p-circuit", "", relay},
		{"/dns4/example.org/tcp/4401", "", ""},
		{"/ip4/0.0.0.0/tcp/4401", "", ""},
		{"/ip4/224.0.0.1/udp/1", "", ""},
	} {
		addr, via := Observed(multiaddr.StringCast(c.text))
		text := ""
		if addr.IsValid() {
			text = addr.String()
		}
		if text != c.addr || via != c.relay {
			t.Errorf("%s: %q through %q", c.text, text, via)
		}
	}
	if addr, via := Observed(nil); addr.IsValid() || via != "" {
		t.Errorf("no address: %s through %q", addr, via)
	}
}

func TestCandidateDomain(t *testing.T) {
	public := netip.MustParseAddr("203.0.113.9")
	direct := Candidate{Peer: "a", Addr: public}
	relayed := Candidate{Peer: "b", Addr: netip.MustParseAddr("203.0.113.77"), Relay: "r"}
	if direct.Domain(false) != relayed.Domain(false) {
		t.Error("a relayed peer does not share its relay's domain")
	}
	c, d := Candidate{Peer: "c", Relay: "r"}, Candidate{Peer: "d", Relay: "r"}
	if c.Domain(false) != d.Domain(false) || c.Domain(false) == (Domain{}) {
		t.Error("peers behind one relay of unknown address do not share a domain")
	}
	if c.Domain(true) == d.Domain(true) {
		t.Error("two peers of a private network share a domain")
	}
}

func TestPrivate(t *testing.T) {
	at := func(addrs ...string) (out []Candidate) {
		for _, a := range addrs {
			c := Candidate{}
			if a != "" {
				c.Addr = netip.MustParseAddr(a)
			}
			out = append(out, c)
		}
		return out
	}
	for _, c := range []struct {
		seen []Candidate
		want bool
	}{
		{nil, false},
		{at(""), false},
		{at("127.0.0.1"), true},
		{at("127.0.0.1", "", "10.0.0.1", "fd00::1"), true},
		{at("127.0.0.1", "203.0.113.9"), false},
	} {
		if got := Private(c.seen); got != c.want {
			t.Errorf("%v: private %v", c.seen, got)
		}
	}
}

func FuzzObserved(f *testing.F) {
	for _, s := range []string{
		"/ip4/203.0.113.9/tcp/4401", "/ip6/2a01:4f8::1/udp/4401/quic-v1", "/ip6/2002:cb00:7109::1/tcp/1",
		"/ip6zone/eth0/ip6/fe80::1/tcp/1", "/ip4/198.51.100.1/tcp/4401/p2p/" + relayID + "/p2p-circuit", "/dns4/example.org/tcp/4401",
	} {
		f.Add(multiaddr.StringCast(s).Bytes())
	}
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		var m multiaddr.Multiaddr
		var addr netip.Addr
		var relay peer.ID
		var err error
		t.Frugal(uint64(1<<20+64*len(b)), func() {
			if m, err = multiaddr.NewMultiaddrBytes(b); err == nil {
				addr, relay = Observed(m)
			}
		})
		if err != nil {
			return
		}
		t.Accepted()
		if addr.Is4In6() || addr.Zone() != "" || addr.IsUnspecified() {
			t.Fatalf("%s: observed %s", m, addr)
		}
		if relay != "" && relay.Validate() != nil {
			t.Fatalf("%s: relay %q", m, relay)
		}
		d := AddrDomain(addr)
		wide, ok := d.Wide()
		if ok && (!d.prefix.Contains(effective(addr)) || !wide.Contains(d.prefix.Addr()) || IsPrivate(addr)) {
			t.Fatalf("%s: domain %s in %s", addr, d, wide)
		}
		if !ok && addr.IsValid() != IsPrivate(addr) {
			t.Fatalf("%s: domain %s", addr, d)
		}
	})
}
