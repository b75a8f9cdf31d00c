package quota

import (
	"cmp"
	"math"
	"net/netip"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Caps bounds what newcomers may fill of an open node: fresh keys cost nothing,
// addresses do (SPEC.md, Admission). They count groups that this node has known
// for less than Young; private and loopback addresses are exempt.
type Caps struct {
	Narrow       float64       // share of the donation from one /24 or IPv6 /48
	Wide         float64       // share from one /16 or IPv6 /32
	All          float64       // share of all newcomers together
	Young        time.Duration // until a group is no longer a newcomer
	Reservation  time.Duration // how long Form reserves bytes
	Reservations int           // open at a time, from one /24 or /48
	Groups       int           // young groups from one /24 or /48
}

// DefaultCaps returns the caps of the norm.
func DefaultCaps() Caps {
	return Caps{
		Narrow: 0.05, Wide: 0.20, All: 0.50,
		Young: 30 * 24 * time.Hour, Reservation: time.Hour,
		Reservations: 64, Groups: 1024,
	}
}

// WithDefaults returns the caps with those of DefaultCaps for what is zero.
func (c Caps) WithDefaults() Caps {
	d := DefaultCaps()
	return Caps{
		Narrow: cmp.Or(c.Narrow, d.Narrow), Wide: cmp.Or(c.Wide, d.Wide), All: cmp.Or(c.All, d.All),
		Young: cmp.Or(c.Young, d.Young), Reservation: cmp.Or(c.Reservation, d.Reservation),
		Reservations: cmp.Or(c.Reservations, d.Reservations), Groups: cmp.Or(c.Groups, d.Groups),
	}
}

// Source is where a group came from: the failure domain of the address whose
// connection brought it, which is charged for it. The zero source stands for
// all peers whose address the transport does not show.
type Source struct{ group.Domain }

// Local is the source of private and loopback addresses, which are exempt.
var Local = Source{group.AddrDomain(netip.IPv6Loopback())}

// SourceOf returns the source of a peer; a relayed peer's is its relay's.
func SourceOf(r protocol.Remote) Source {
	if r.Addr == nil {
		return Source{}
	}
	addr, _ := group.Observed(r.Addr)
	return Source{group.AddrDomain(addr)}
}

// Exempt reports whether a source is bounded by no cap.
func (s Source) Exempt() bool { return s == Local }

// Text is how a source is written down; ParseSource reads it.
func (s Source) Text() string {
	switch s {
	case Local:
		return sourceLocal
	case Source{}:
		return sourceHidden
	}
	return s.String()
}

const (
	sourceLocal  = "local"
	sourceHidden = "hidden"
)

// ParseSource reads a source as it is written down; one that cannot be read is the
// zero Source.
func ParseSource(text string) Source {
	if text == sourceLocal {
		return Local
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return Source{}
	}
	return Source{group.AddrDomain(p.Addr())}
}

// filled is what newcomers have filled or reserved already, in bytes: from one
// narrow prefix, from its wide one, in all.
type filled struct{ narrow, wide, all int64 }

// room returns how many more bytes a source may fill of a donation.
func (c Caps) room(donated int64, f filled) int64 {
	d := float64(donated)
	return max(0, min(
		share(d, c.Narrow)-f.narrow,
		share(d, c.Wide)-f.wide,
		share(d, c.All)-f.all,
	))
}

func share(donated, of float64) int64 { return int64(math.Min(donated*of, protocol.MaxInt)) }
