package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// Reach says whether others can dial a peer.
type Reach string

// The values of Reach.
const (
	ReachUnknown Reach = "unknown"
	ReachPrivate Reach = "private" // only from its own network, or through a relay
	ReachPublic  Reach = "public"
)

// Reason says how a Reach came to be known.
type Reason string

// The values of Reason.
const (
	ReasonClient   Reason = "client"   // it serves nobody, so nobody needs to dial it
	ReasonStated   Reason = "stated"   // the user said so
	ReasonLocal    Reason = "local"    // no peer was seen at a public address: it does not matter
	ReasonTested   Reason = "tested"   // others dialled it
	ReasonFailed   Reason = "failed"   // others tried to, in vain
	ReasonUntested Reason = "untested" // it has a public address, which nobody has dialled yet
	ReasonEarly    Reason = "early"    // it has none, but started only just now
	ReasonHidden   Reason = "hidden"   // it has none that others could dial
)

// Reachability is what a peer knows of how others reach it.
type Reachability struct {
	State   Reach
	Reason  Reason
	Direct  []multiaddr.Multiaddr // public addresses at which others dialled it
	Failed  []multiaddr.Multiaddr // public addresses at which others tried to, in vain
	Relays  []peer.ID             // through which it can be reached
	Mapped  bool                  // the router has opened the port when asked (UPnP, NAT-PMP)
	Punched int64                 // direct connections made through NATs, since the start
	Carried int64                 // bytes carried for others as a relay, since the start
}

// undecidedFor is how long it may stay open whether this peer can be dialled.
// Where two or more peers can be asked, AutoNAT answers within 20 seconds; each
// is asked once in two minutes, so waiting a little longer would not help where
// there is only one. A young network has one or none: without a limit, a donor
// behind a NAT would wait for ever, and be of no use to anybody.
const undecidedFor = time.Minute

// evidence is what is known about this peer's public addresses at some moment.
type evidence struct {
	public bool // the network is: a peer was seen at a public address
	own    bool // one of the machine's interfaces has a public address
	// How many public addresses others have dialled, have tried in vain, and have
	// not been asked about yet.
	reachable, unreachable, unknown int
}

// verdict is what follows from evidence.
type verdict struct {
	state  Reach
	reason Reason
	// acts is what libp2p is told: whether to serve the DHT and to relay for
	// others (public), to seek relays (private), or to serve the DHT only.
	acts network.Reachability
}

// judge decides whether others can dial this peer.
type judge struct {
	stated string    // Config.Public
	last   verdict   // the last that was certain
	since  time.Time // when it became undecided; zero: it is decided
}

// weigh returns the verdict, and when to ask again if no new evidence comes; zero
// means never.
//
// A peer with a public address of its own counts as reachable until somebody has
// dialled it in vain: there is nobody to test the first node of a network, and if
// it did not relay and serve the DHT, the network could not start.
func (j *judge) weigh(e evidence, now time.Time) (v verdict, again time.Time) {
	v, sure := j.certain(e)
	if sure {
		j.last, j.since = v, time.Time{}
		return v, time.Time{}
	}
	if j.since.IsZero() {
		j.since = now
	}
	until := j.since.Add(undecidedFor)
	switch {
	case e.own && e.unreachable == 0:
		return verdict{ReachUnknown, ReasonUntested, network.ReachabilityPublic}, time.Time{}
	case !now.Before(until), j.last.state == ReachPrivate:
		return verdict{ReachPrivate, ReasonHidden, network.ReachabilityPrivate}, time.Time{}
	case j.last.state == ReachPublic:
		return j.last, until // its address may have changed
	}
	return verdict{ReachUnknown, ReasonEarly, network.ReachabilityUnknown}, until
}

// certain returns the verdict if the evidence needs no waiting.
func (j *judge) certain(e evidence) (verdict, bool) {
	switch {
	case j.stated == PublicYes:
		return verdict{ReachPublic, ReasonStated, network.ReachabilityPublic}, true
	case j.stated == PublicNo:
		return verdict{ReachPrivate, ReasonStated, network.ReachabilityPrivate}, true
	case !e.public:
		return verdict{ReachUnknown, ReasonLocal, network.ReachabilityUnknown}, true
	case e.reachable > 0:
		return verdict{ReachPublic, ReasonTested, network.ReachabilityPublic}, true
	case e.unreachable > 0 && e.unknown == 0:
		return verdict{ReachPrivate, ReasonFailed, network.ReachabilityPrivate}, true
	}
	return verdict{}, false
}
