package group

import (
	"net/netip"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/lab/fuzz"
)

const somePeer = "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5"

func TestDomainText(t *testing.T) {
	id, err := peer.Decode(somePeer)
	if err != nil {
		t.Fatal(err)
	}
	for want, d := range map[string]Domain{
		"":                  {},
		"lan":               AddrDomain(netip.MustParseAddr("192.168.1.7")),
		"20.1.2.0/24":       AddrDomain(netip.MustParseAddr("20.1.2.3")),
		"2a00:1:2::/48":     AddrDomain(netip.MustParseAddr("2a00:1:2:3::4")),
		"relay:" + somePeer: {kind: relayDomain, peer: id},
		"peer:" + somePeer:  {kind: peerDomain, peer: id},
	} {
		text, err := d.MarshalText()
		if err != nil || string(text) != want {
			t.Errorf("%v is written %q, %v", d, text, err)
		}
		back := Domain{kind: lanDomain}
		if err := back.UnmarshalText(text); err != nil || back != d {
			t.Errorf("%q is read as %v, %v", text, back, err)
		}
	}
	for _, bad := range []string{"LAN", "lan ", "lan:", "20.1.2.3", "20.1.2.3/24", "20.1.0.0/16", "10.0.0.0/24", "20.1.2.0/024", "relay:", "relay:x", "peer", "2A00:1:2::/48"} {
		d := Domain{kind: lanDomain}
		if err := d.UnmarshalText([]byte(bad)); err == nil || d != (Domain{kind: lanDomain}) {
			t.Errorf("%q is read as %v", bad, d)
		}
	}
}

func FuzzDomainText(f *testing.F) {
	for _, s := range []string{"", "lan", "20.1.2.0/24", "2a00:1:2::/48", "relay:" + somePeer, "peer:" + somePeer} {
		f.Add([]byte(s))
	}
	fuzz.Run(f, func(t *fuzz.T, text []byte) {
		var d Domain
		var err error
		t.Frugal(uint64(1<<20+64*len(text)), func() { err = d.UnmarshalText(text) })
		if err != nil {
			return
		}
		t.Accepted()
		if again, err := d.MarshalText(); err != nil || string(again) != string(text) {
			t.Fatalf("%q is written %q, %v", text, again, err)
		}
	})
}
