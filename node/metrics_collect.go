package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/liveness"
)

// Collector gives a Prometheus registry what the node counts. A registry takes
// one node's only.
func (n *Node) Collector() prometheus.Collector { return collector{n} }

type collector struct{ n *Node }

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for i := range plainMetrics {
		out <- plainMetrics[i].Desc
	}
	for _, d := range []*prometheus.Desc{
		infoDesc, reachDesc, streamsDesc, auditsDesc, neighboursDesc, groupHealth, segmentHealth,
		monthDesc, monthLeftDesc, restsDesc, quotaDesc, storeUsedDesc, storeFreeDesc, storeStateDesc,
	} {
		out <- d
	}
	c.n.answers.total.Describe(out)
	c.n.answers.seconds.Describe(out)
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.n.Status()
	tell := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, gauge, v, labels...)
	}
	for i := range plainMetrics {
		m := &plainMetrics[i]
		out <- prometheus.MustNewConstMetric(m.Desc, m.kind, m.of(&s))
	}
	tell(infoDesc, 1, s.Peer, s.Network, s.Agent)
	tell(streamsDesc, float64(c.n.gate.Open()))
	oneOf(reaches, s.Reachable, func(r Reach, v float64) { tell(reachDesc, v, string(r)) })
	c.collectOthers(&s, tell, out)
	c.collectContract(s.Contract, tell)
	for _, d := range s.Stores {
		tell(quotaDesc, float64(d.Quota), d.Dir)
		tell(storeUsedDesc, float64(d.Used), d.Dir)
		tell(storeFreeDesc, float64(d.Free), d.Dir)
		oneOf(storeStates, d.State, func(state string, v float64) { tell(storeStateDesc, v, d.Dir, state) })
	}
	c.n.answers.total.Collect(out)
	c.n.answers.seconds.Collect(out)
}

// teller tells a gauge's value.
type teller func(d *prometheus.Desc, v float64, labels ...string)

// collectOthers tells how co-members and what is shared with them stand.
func (c collector) collectOthers(s *Status, tell teller, out chan<- prometheus.Metric) {
	for o := range c.n.count.audits {
		n := float64(c.n.count.audits[o].Load())
		out <- prometheus.MustNewConstMetric(auditsDesc, counter, n, audit.Outcome(o).String())
	}
	for state, n := range c.n.neighbours.States() {
		tell(neighboursDesc, float64(n), liveness.State(state).String())
	}
	for d, states := range map[*prometheus.Desc]States{groupHealth: s.Health.Groups, segmentHealth: s.Health.Segments} {
		for state, n := range states.byName() {
			tell(d, float64(n), state)
		}
	}
}

// collectContract tells how the donor's contract stands.
func (c collector) collectContract(s ContractStatus, tell teller) {
	spent := c.n.deal.spent(c.n.now())
	for class, left := range map[contract.Class]int64{contract.Clients: s.Spent.ClientsLeft, contract.Repair: s.Spent.RepairLeft} {
		tell(monthDesc, float64(spent.Up[class]), class.String(), "up")
		tell(monthDesc, float64(spent.Down[class]), class.String(), "down")
		if left >= 0 {
			tell(monthLeftDesc, float64(left), class.String())
		}
	}
	for cause, on := range map[string]bool{
		"hours": s.OpensAt != "", "paused": s.PausedUntil != "", "away": s.AwayUntil != "", "draining": s.Draining,
	} {
		tell(restsDesc, float64(oneIf(on)), cause)
	}
}

// oneOf tells each of the states whether it is the one: 1 or 0. One that is
// not in the list is told, too.
func oneOf[T comparable](states []T, is T, tell func(T, float64)) {
	known := false
	for _, s := range states {
		known = known || s == is
		tell(s, float64(oneIf(s == is)))
	}
	if !known {
		tell(is, 1)
	}
}

func oneIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
