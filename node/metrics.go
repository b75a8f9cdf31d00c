package node

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
)

// docs/metrics.md says what each name means. Names stay: dashboards and alerts
// live on them.

// How a request ended, as the label outcome says it.
const (
	outcomeOK      = "ok"
	outcomeRefused = "refused" // for a cause, which the peer was told
	outcomeFailed  = "failed"  // on our side
)

// States that a gauge of their own stands for, 1 for the one that holds.
var (
	reaches     = []Reach{ReachUnknown, ReachPrivate, ReachPublic}
	storeStates = []string{StoreOK, StoreSuspended, StoreFailed}
)

// answers counts requests for Collector.
type answers struct {
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	of      map[protocol.Kind]*answersOf // looked up once, and not at each request
}

// answersOf counts the requests of one kind.
type answersOf struct {
	outcomes map[string]prometheus.Counter
	seconds  prometheus.Observer
}

func newAnswers() *answers {
	a := &answers{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cairn_node_requests_total", Help: "Requests answered, by kind and outcome.",
		}, []string{"request", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cairn_node_request_seconds", Help: "Time from a request to its reply, by kind; a put includes its bytes' way here.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9), // to half a minute
		}, []string{"request"}),
		of: make(map[protocol.Kind]*answersOf),
	}
	for _, kind := range protocol.Kinds() { // from 0 on, so that the first of a kind shows
		of := &answersOf{make(map[string]prometheus.Counter), a.seconds.WithLabelValues(kind.String())}
		for _, outcome := range []string{outcomeOK, outcomeRefused, outcomeFailed} {
			of.outcomes[outcome] = a.total.WithLabelValues(kind.String(), outcome)
		}
		a.of[kind] = of
	}
	return a
}

// answered counts a request by how it ended.
func (n *Node) answered(kind protocol.Kind, err error, took time.Duration) {
	outcome := outcomeOK
	var no *protocol.Error
	n.count.requests.Add(1)
	switch {
	case err == nil:
	case errors.As(err, &no):
		outcome = outcomeRefused
		n.count.refused.Add(1)
	default:
		outcome = outcomeFailed
		n.count.failed.Add(1)
	}
	of := n.answers.of[kind]
	of.outcomes[outcome].Inc()
	of.seconds.Observe(took.Seconds())
}

// Collector gives a Prometheus registry what the node counts. A registry takes
// one node's only.
func (n *Node) Collector() prometheus.Collector { return collector{n} }

type collector struct{ n *Node }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	infoDesc       = describe("cairn_node_info", "1, with the node's peer ID, network and program.", "peer", "network", "agent")
	reachDesc      = describe("cairn_node_reach", "1 for whether others can dial this node, as far as it knows.", "state")
	donatedDesc    = describe("cairn_node_donated_bytes", "Bytes given.")
	usedDesc       = describe("cairn_node_used_bytes", "Bytes that live shards and records take.")
	freeDesc       = describe("cairn_node_free_bytes", "Bytes that groups without a reservation may still take.")
	reservedDesc   = describe("cairn_node_reserved_bytes", "Bytes promised to groups that are being formed.")
	shardsDesc     = describe("cairn_node_shards", "Shards held.")
	damagedDesc    = describe("cairn_node_shards_damaged", "Shards known to be damaged on disk, and not mended since.")
	groupsDesc     = describe("cairn_node_groups", "Groups of which something is held.")
	announcedDesc  = describe("cairn_node_groups_announced", "Groups that this node announces in the DHT.")
	freeingDesc    = describe("cairn_node_segments_freeing", "Deleted segments whose bytes are still here.")
	frozenDesc     = describe("cairn_node_groups_frozen", "Groups whose owners were long not heard of.")
	peersDesc      = describe("cairn_node_peers", "Peers known.")
	donorsDesc     = describe("cairn_node_donors", "Nodes spoken to within a day.")
	streamsDesc    = describe("cairn_node_streams", "Streams open for requests.")
	turnedAwayDesc = describe("cairn_node_streams_turned_away_total", "Streams reset because too many were open.")
	shunnedDesc    = describe("cairn_node_peers_shunned_total", "Peers cut off because they lied too much.")
	receivedDesc   = describe("cairn_node_received_bytes_total", "Bytes of shards stored.")
	relaysDesc     = describe("cairn_node_relays", "Peers that lead to this node while it cannot be dialled.")
	punchedDesc    = describe("cairn_node_punched_total", "Direct connections made through NATs.")
	carriedDesc    = describe("cairn_node_carried_bytes_total", "Bytes carried for other nodes, as their relay.")
	provedDesc     = describe("cairn_node_proved_total", "Shards that other holders audited here.")
	auditsDesc     = describe("cairn_node_audits_total", "Shards of other holders audited, by what it came to.", "outcome")
	mendedDesc     = describe("cairn_node_mended_total", "Own shards rebuilt from co-members' that the disk had damaged, or that never came.")
	lentDesc       = describe("cairn_node_lent_total", "Shards that co-members were lent, to repair or to mend.")
	repairedDesc   = describe("cairn_node_repaired_total", "Shards of others made again, and taken by them.")
	borrowedDesc   = describe("cairn_node_borrowed_bytes_total", "Bytes of shards fetched to make others again.")
	givenDesc      = describe("cairn_node_given_bytes_total", "Bytes of shards made again that others took.")
	neighboursDesc = describe("cairn_node_neighbours", "Nodes that share groups with this one, by how they stand.", "state")
	groupHealth    = describe("cairn_node_groups_health", "Groups shared, by what they need; those of the state thin are lazy or urgent as well.", "state")
	segmentHealth  = describe("cairn_node_segments_health", "Segments of the groups shared, by what they need; those of the state thin are lazy or urgent as well.", "state")
	cutOffDesc     = describe("cairn_node_cut_off", "1 while this node believes itself cut off, and judges nobody.")
	sentDesc       = describe("cairn_node_sent_bytes_total", "Bytes of shards and slices served.")
	monthDesc      = describe("cairn_node_month_bytes", "Bytes of this protocol that crossed the line in this calendar month.", "class", "direction")
	monthLeftDesc  = describe("cairn_node_month_left_bytes", "Bytes that may still cross it in this calendar month; absent without --month.", "class")
	restsDesc      = describe("cairn_node_rests", "1 for each cause that keeps the node from some of its work.", "cause")
	quotaDesc      = describe("cairn_store_quota_bytes", "Bytes given in a folder.", "dir")
	storeUsedDesc  = describe("cairn_store_used_bytes", "Bytes that live records take in a folder.", "dir")
	storeFreeDesc  = describe("cairn_store_free_bytes", "Bytes that a folder can still take, by its quota and by its disk.", "dir")
	storeStateDesc = describe("cairn_store_state", "1 for the state that a store is in.", "dir", "state")
)

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		infoDesc, reachDesc, donatedDesc, usedDesc, freeDesc, reservedDesc, shardsDesc, damagedDesc, groupsDesc, announcedDesc,
		freeingDesc, frozenDesc, peersDesc, donorsDesc, streamsDesc, turnedAwayDesc, shunnedDesc, receivedDesc, sentDesc,
		relaysDesc, punchedDesc, carriedDesc, monthDesc, monthLeftDesc, restsDesc,
		provedDesc, auditsDesc, mendedDesc, lentDesc, repairedDesc, borrowedDesc, givenDesc, neighboursDesc, cutOffDesc, groupHealth, segmentHealth,
		quotaDesc, storeUsedDesc, storeFreeDesc, storeStateDesc,
	} {
		out <- d
	}
	c.n.answers.total.Describe(out)
	c.n.answers.seconds.Describe(out)
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.n.Status()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(infoDesc, 1, s.Peer, s.Network, s.Agent)
	oneOf(reaches, s.Reachable, func(r Reach, v float64) { gauge(reachDesc, v, string(r)) })
	gauge(donatedDesc, float64(s.Donated))
	gauge(usedDesc, float64(s.Used))
	gauge(freeDesc, float64(s.Free))
	gauge(reservedDesc, float64(s.Reserved))
	gauge(shardsDesc, float64(s.Shards))
	gauge(damagedDesc, float64(s.Scrub.Damaged))
	gauge(groupsDesc, float64(s.Groups))
	gauge(announcedDesc, float64(s.Announced))
	gauge(freeingDesc, float64(s.Freeing))
	gauge(frozenDesc, float64(s.Frozen+s.Expired))
	gauge(peersDesc, float64(s.Peers))
	gauge(donorsDesc, float64(s.Donors))
	gauge(streamsDesc, float64(c.n.gate.Open()))
	counter(turnedAwayDesc, s.Traffic.TurnedAway)
	counter(shunnedDesc, s.Traffic.Shunned)
	counter(receivedDesc, s.Traffic.Received)
	counter(sentDesc, s.Traffic.Sent)
	gauge(relaysDesc, float64(len(s.Relays)))
	counter(punchedDesc, s.Punched)
	counter(carriedDesc, s.Carried)
	counter(provedDesc, s.Traffic.Proved)
	counter(mendedDesc, s.Traffic.Mended)
	counter(lentDesc, s.Traffic.Lent)
	counter(repairedDesc, s.Traffic.Repaired)
	counter(borrowedDesc, s.Traffic.Borrowed)
	counter(givenDesc, s.Traffic.Given)
	for o := range c.n.count.audits {
		out <- prometheus.MustNewConstMetric(auditsDesc, prometheus.CounterValue, float64(c.n.count.audits[o].Load()), audit.Outcome(o).String())
	}
	for state, n := range c.n.neighbours.States() {
		gauge(neighboursDesc, float64(n), liveness.State(state).String())
	}
	cutOff := 0.0
	if s.CutOff {
		cutOff = 1
	}
	gauge(cutOffDesc, cutOff)
	for d, states := range map[*prometheus.Desc]States{groupHealth: s.Health.Groups, segmentHealth: s.Health.Segments} {
		for state, n := range states.byName() {
			gauge(d, float64(n), state)
		}
	}
	c.collectContract(s.Contract, gauge)
	for _, d := range s.Stores {
		gauge(quotaDesc, float64(d.Quota), d.Dir)
		gauge(storeUsedDesc, float64(d.Used), d.Dir)
		gauge(storeFreeDesc, float64(d.Free), d.Dir)
		oneOf(storeStates, d.State, func(state string, v float64) { gauge(storeStateDesc, v, d.Dir, state) })
	}
	c.n.answers.total.Collect(out)
	c.n.answers.seconds.Collect(out)
}

// collectContract tells how the donor's contract stands.
func (c collector) collectContract(s ContractStatus, gauge func(*prometheus.Desc, float64, ...string)) {
	spent := c.n.deal.spent(c.n.now())
	for class, left := range map[contract.Class]int64{contract.Clients: s.Spent.ClientsLeft, contract.Repair: s.Spent.RepairLeft} {
		gauge(monthDesc, float64(spent.Up[class]), class.String(), "up")
		gauge(monthDesc, float64(spent.Down[class]), class.String(), "down")
		if left >= 0 {
			gauge(monthLeftDesc, float64(left), class.String())
		}
	}
	for cause, on := range map[string]bool{
		"hours": s.OpensAt != "", "paused": s.PausedUntil != "", "away": s.AwayUntil != "", "draining": s.Draining,
	} {
		v := 0.0
		if on {
			v = 1
		}
		gauge(restsDesc, v, cause)
	}
}

// oneOf tells each of the states whether it is the one: 1 or 0. One that is
// not in the list is told, too.
func oneOf[T comparable](states []T, is T, tell func(T, float64)) {
	known := false
	for _, s := range states {
		v := 0.0
		if s == is {
			v, known = 1, true
		}
		tell(s, v)
	}
	if !known {
		tell(is, 1)
	}
}
