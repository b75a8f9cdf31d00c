package group

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Prefix lengths in bits. A domain is what one household, company or machine
// room usually has; a wide prefix is what one provider usually has.
const (
	domainBits4 = 24
	domainBits6 = 48
	wideBits4   = 16
	wideBits6   = 32
)

type domainKind uint8

const (
	unknownDomain domainKind = iota // peers whose address is not known
	lanDomain                       // peers on this peer's own network
	prefixDomain                    // peers behind one public prefix
	relayDomain                     // peers behind one relay of unknown address
	peerDomain                      // a peer by itself, on a private network
)

// Domain is a failure domain: nodes that may well leave together, or be run by
// the same person. Domains are equal under == when they are the same.
type Domain struct {
	kind   domainKind
	prefix netip.Prefix
	peer   peer.ID
}

// String names the domain for people.
func (d Domain) String() string {
	switch d.kind {
	case lanDomain:
		return "local network"
	case prefixDomain:
		return d.prefix.String()
	case relayDomain:
		return "relay " + protocol.ShortPeer(d.peer)
	case peerDomain:
		return "peer " + protocol.ShortPeer(d.peer)
	}
	return "unknown address"
}

// Wide returns the /16 (IPv6: /32) that holds the domain; ok is false for
// domains that no public prefix describes.
func (d Domain) Wide() (wide netip.Prefix, ok bool) {
	if d.kind != prefixDomain {
		return netip.Prefix{}, false
	}
	return cut(d.prefix.Addr(), wideBits4, wideBits6), true
}

// AddrDomain returns the domain of an observed address on a public network.
func AddrDomain(a netip.Addr) Domain {
	switch {
	case !a.IsValid():
		return Domain{}
	case IsPrivate(a):
		return Domain{kind: lanDomain}
	}
	return Domain{kind: prefixDomain, prefix: cut(effective(a), domainBits4, domainBits6)}
}

// cut returns the prefix that holds a, of bits4 or bits6 bits.
func cut(a netip.Addr, bits4, bits6 int) netip.Prefix {
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, _ := a.Prefix(bits) // never fails: a is valid, without zone, and long enough
	return p
}

// MarshalText writes the domain for a node's own notes: "" for the zero Domain,
// "lan", a prefix, "relay:" or "peer:" and a peer ID.
func (d Domain) MarshalText() ([]byte, error) {
	switch d.kind {
	case lanDomain:
		return []byte("lan"), nil
	case prefixDomain:
		return d.prefix.MarshalText()
	case relayDomain:
		return []byte("relay:" + d.peer.String()), nil
	case peerDomain:
		return []byte("peer:" + d.peer.String()), nil
	}
	return nil, nil
}

// UnmarshalText reads what MarshalText writes, and nothing else.
func (d *Domain) UnmarshalText(text []byte) error {
	kind, name, named := strings.Cut(string(text), ":")
	out := Domain{}
	var err error
	switch {
	case len(text) == 0:
	case string(text) == "lan":
		out.kind = lanDomain
	case named && kind == "relay":
		out.kind = relayDomain
		out.peer, err = peer.Decode(name)
	case named && kind == "peer":
		out.kind = peerDomain
		out.peer, err = peer.Decode(name)
	default:
		out.kind = prefixDomain
		err = out.prefix.UnmarshalText(text)
	}
	if err != nil {
		return fmt.Errorf("failure domain %q: %w", text, err)
	}
	if again, _ := out.MarshalText(); string(again) != string(text) || out.kind == prefixDomain && out.prefix != AddrDomain(out.prefix.Addr()).prefix {
		return fmt.Errorf("failure domain %q: %w", text, errDomain)
	}
	*d = out
	return nil
}

var errDomain = errors.New("not in its one form")
