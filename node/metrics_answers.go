package node

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cairnstore/cairn/protocol"
)

// How a request ended, as the label outcome says it.
const (
	outcomeOK      = "ok"
	outcomeRefused = "refused" // for a cause, which the peer was told
	outcomeFailed  = "failed"  // on our side
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
