package node

import (
	"errors"
	"strings"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
	"github.com/cairnstore/cairn/storage"
)

// Reach says whether others can dial a node.
type Reach string

// The values of Reach.
const (
	ReachUnknown Reach = "unknown" // not known yet
	ReachPrivate Reach = "private" // only from its own network, or through a relay
	ReachPublic  Reach = "public"
)

// Reachability is how others reach a node.
type Reachability struct {
	State   Reach
	Why     string   // in words
	Relays  []string // peers that lead to it while it cannot be dialled itself
	Punched int64    // direct connections made through NATs, since the start
	Carried int64    // bytes carried for other nodes as their relay, since the start
}

// Status is what `cairn node status --json` shows. Sizes are in bytes, times
// in seconds.
type Status struct {
	Peer       string         `json:"peer"`
	Addrs      []string       `json:"addrs"` // each ends in /p2p/ID
	Network    string         `json:"network"`
	Agent      string         `json:"agent"`
	Donated    int64          `json:"donated"`
	Used       int64          `json:"used"`
	Free       int64          `json:"free"` // for groups that have no reservation
	Reserved   int64          `json:"reserved"`
	Shards     int            `json:"shards"`
	Groups     int            `json:"groups"`
	Announced  int            `json:"announced"` // groups that this node is found for
	Freeing    int            `json:"freeing"`   // deleted segments whose bytes are still here
	Frozen     int            `json:"frozen"`    // groups whose owners were long not heard of
	Expired    int            `json:"expired"`   // groups that are being freed because of that
	Accepts    string         `json:"accepts"`
	Peers      int            `json:"peers"` // known
	Donors     int            `json:"donors"`
	Neighbours map[string]int `json:"neighbours"` // nodes that share groups with this one, by how they stand
	CutOff     bool           `json:"cutOff"`     // it believes itself cut off, and judges nobody
	Vacant     int            `json:"vacant"`     // slots of its groups that nobody holds, as far as it has found
	Health     HealthStatus   `json:"health"`     // what the groups that it shares need
	Reachable  Reach          `json:"reachable"`
	Why        string         `json:"why"`
	Relays     []string       `json:"relays"`  // peers that lead to this node while it cannot be dialled
	Punched    int64          `json:"punched"` // direct connections made through NATs
	Carried    int64          `json:"carried"` // for nodes that cannot be dialled, as their relay
	Uptime     float64        `json:"uptime"`
	Traffic    Traffic        `json:"traffic"`
	Scrub      ScrubStatus    `json:"scrub"`
	Stores     []StoreStatus  `json:"stores"`

	Contract ContractStatus `json:"contract"`
	Drain    DrainProgress  `json:"drain"`
}

// Traffic counts since the start.
type Traffic struct {
	Received   int64 `json:"received"` // bytes of shards stored
	Sent       int64 `json:"sent"`     // bytes of shards and slices served
	Puts       int64 `json:"puts"`
	Gets       int64 `json:"gets"`
	Requests   int64 `json:"requests"`
	Refused    int64 `json:"refused"`    // requests refused for a cause
	Failed     int64 `json:"failed"`     // requests that failed on our side
	TurnedAway int64 `json:"turnedAway"` // streams beyond the limits
	Shunned    int64 `json:"shunned"`    // peers that lied too much
	Proved     int64 `json:"proved"`     // shards that others audited
	Mended     int64 `json:"mended"`     // own shards that the disk damaged, or that never came, rebuilt from others'
	Lent       int64 `json:"lent"`       // shards that others rebuilt theirs from
	Repaired   int64 `json:"repaired"`   // shards made again for others, and taken by them
	Borrowed   int64 `json:"borrowed"`   // bytes of shards fetched for that
	Given      int64 `json:"given"`      // bytes of shards put for that
}

// StoreStatus is one donated folder.
type StoreStatus struct {
	Dir   string `json:"dir"`
	Quota int64  `json:"quota"`
	Used  int64  `json:"used"`
	Free  int64  `json:"free"` // that it can still take, by quota and by its disk
	State string `json:"state"`
	Why   string `json:"why"` // why the state is not ok
}

// The values of a StoreStatus's State.
const (
	StoreOK        = "ok"
	StoreSuspended = "suspended" // its disk is missing: it goes on when that is back
	StoreFailed    = "failed"    // a write failed: it serves, and takes nothing more until a restart, or until a read-only disk can be written to
)

// NewStoreStatus tells of the store in dir.
func NewStoreStatus(dir string, u storage.Usage) StoreStatus {
	s := StoreStatus{Dir: dir, Quota: u.Donated, Used: u.Used, Free: u.Free, State: StoreOK}
	if u.Err == nil {
		return s
	}
	s.State, s.Why = StoreFailed, strings.ReplaceAll(u.Err.Error(), "\n", "; ") // one line
	if errors.Is(u.Err, storage.ErrSuspended) {
		s.State = StoreSuspended
	}
	return s
}

// counters count what Traffic shows.
type counters struct {
	received, sent, puts, gets, requests, refused, failed, turnedAway, shunned, proved, mended, lent, repaired, given, borrowed atomic.Int64

	audits [audit.Reported + 1]atomic.Int64 // of others, by outcome
}

// audited counts an audit of another's shard.
func (c *counters) audited(o audit.Outcome) { c.audits[o].Add(1) }

func (c *counters) traffic() Traffic {
	return Traffic{
		Received: c.received.Load(), Sent: c.sent.Load(), Puts: c.puts.Load(), Gets: c.gets.Load(),
		Requests: c.requests.Load(), Refused: c.refused.Load(), Failed: c.failed.Load(), TurnedAway: c.turnedAway.Load(), Shunned: c.shunned.Load(),
		Proved: c.proved.Load(), Mended: c.mended.Load(), Lent: c.lent.Load(),
		Repaired: c.repaired.Load(), Borrowed: c.borrowed.Load(), Given: c.given.Load(),
	}
}

// Status tells how the node is.
func (n *Node) Status() Status {
	u := n.store.Usage()
	now := n.now()
	s := Status{
		Peer: n.self.String(), Network: n.cfg.Network, Agent: n.cfg.Agent,
		Donated: n.cfg.Donated, Used: u.Used, Free: n.quota.Free(quota.Local, n.storeFree(), now), Reserved: n.quota.Promised(),
		Shards: u.Shards, Groups: u.Groups, Announced: n.announce.announced(), Freeing: n.frees.count(),
		Accepts: string(n.cfg.Accepts), Peers: len(n.cfg.Net.Known()), Donors: n.donors.Count(now),
		Uptime: now.Sub(n.started).Seconds(), Traffic: n.count.traffic(), Scrub: n.scrub.status(), Stores: n.stores(u),
		Contract: n.contractStatus(), Drain: n.DrainProgress(), Health: n.health(),
	}
	leases := n.leases.count(now)
	s.Frozen, s.Expired = leases[group.Frozen], leases[group.Expired]
	s.Neighbours, s.CutOff, s.Vacant = make(map[string]int), n.neighbours.CutOff(), n.neighbours.Vacant()
	for state, count := range n.neighbours.States() {
		s.Neighbours[liveness.State(state).String()] = count
	}
	rec, err := n.ownRecord()
	if err == nil {
		s.Addrs = addrTexts(rec)
	}
	r := guessReach(rec)
	if n.cfg.Reach != nil {
		r = n.cfg.Reach()
	}
	s.Reachable, s.Why, s.Punched, s.Carried = r.State, r.Why, r.Punched, r.Carried
	s.Relays = append([]string{}, r.Relays...) // for programs: a list, if an empty one
	return s
}

func (n *Node) ownRecord() (protocol.PeerRecord, error) {
	env, err := n.cfg.Net.Envelope()
	if err != nil {
		return protocol.PeerRecord{}, err
	}
	return env.Open()
}

func addrTexts(r protocol.PeerRecord) []string {
	full, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: r.Peer, Addrs: r.Addrs})
	if err != nil {
		return nil
	}
	out := make([]string, len(full))
	for i, a := range full {
		out[i] = a.String()
	}
	return out
}

// guessReach judges by the addresses that a node gives out.
func guessReach(r protocol.PeerRecord) Reachability {
	if len(r.Addrs) == 0 {
		return Reachability{State: ReachUnknown, Why: "no address is known yet"}
	}
	for _, a := range r.Addrs {
		if ip, _ := group.Observed(a); ip.IsValid() && !group.IsPrivate(ip) {
			return Reachability{State: ReachUnknown, Why: "it has a public address; whether others can dial it is not known yet"}
		}
	}
	return Reachability{State: ReachPrivate, Why: "all its addresses are private: it can be dialled from its own network only"}
}

func (n *Node) stores(u storage.Usage) []StoreStatus {
	if n.cfg.Stores != nil {
		return n.cfg.Stores()
	}
	return []StoreStatus{NewStoreStatus("", u)}
}
