//go:build unix

package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

var (
	metricsRow  = regexp.MustCompile("(?m)^\\| `(cairn_[a-z_]+)` \\| ([a-z]+) \\| ([a-z, ]*) ?\\|")
	metricsType = regexp.MustCompile(`(?m)^# TYPE (cairn_[a-z_]+) ([a-z]+)$`)
	metricsLine = regexp.MustCompile(`(?m)^(cairn_[a-z_]+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? [0-9.e+-]+$`)
	metricLabel = regexp.MustCompile(`([a-z]+)="`)
)

// TestMetrics scrapes a node that serves people and holds docs/metrics.md to
// what it finds, names, types and labels, both ways.
func TestMetrics(t *testing.T) {
	w := newTown(t, 1, launch.Config{})
	node := w.addNodes(1, "--metrics", "0", "--month", "1TB")[0]
	path, sum := w.file("x", 1<<20)
	link := w.newcomer("a").put(path).Link
	w.newcomer("b").get(link, sum)
	text := scrape(t, metricsURL(t, node))

	served := make(map[string]string)
	labels := make(map[string][]string)
	for _, m := range metricsLine.FindAllStringSubmatch(text, -1) {
		for _, l := range metricLabel.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" && !slices.Contains(labels[m[1]], l[1]) {
				labels[m[1]] = append(labels[m[1]], l[1])
			}
		}
	}
	for _, m := range metricsType.FindAllStringSubmatch(text, -1) {
		slices.Sort(labels[m[1]])
		served[m[1]] = m[2] + " by " + strings.Join(labels[m[1]], ", ")
	}
	doc, err := os.ReadFile("../docs/metrics.md")
	w.must(err)
	said := make(map[string]string)
	for _, m := range metricsRow.FindAllStringSubmatch(string(doc), -1) {
		said[m[1]] = m[2] + " by " + strings.TrimSpace(m[3])
	}
	for name, is := range served {
		if said[name] != is {
			t.Errorf("%s is a %s; docs/metrics.md says %q", name, is, said[name])
		}
	}
	for name := range said {
		if served[name] == "" {
			t.Errorf("docs/metrics.md tells of %s, which no node serves", name)
		}
	}
	for _, want := range []string{
		`cairn_node_requests_total{outcome="ok",request="put"} [1-9]`, `cairn_node_request_seconds_count{request="put"} [1-9]`,
		`cairn_node_shards [1-9]`, `cairn_store_state{dir="[^"]+",state="ok"} 1`, `cairn_node_received_bytes_total [1-9]`,
		`libp2p_rcmgr_connections{`, `libp2p_swarm_`, `process_open_fds [1-9]`, `go_goroutines [1-9]`,
	} {
		if !regexp.MustCompile(`(?m)^` + want).MatchString(text) {
			t.Errorf("no line %q is served", want)
		}
	}
	for _, secret := range []string{strings.TrimPrefix(link, "cairn:"), "x.bin"} {
		if strings.Contains(text, secret) {
			t.Errorf("metrics hold %q", secret)
		}
	}
}

// TestMetricsPortTaken: a second node that is to serve at the port of the
// first does not start, and says why.
func TestMetricsPortTaken(t *testing.T) {
	w := newTown(t, 0, launch.Config{})
	url := metricsURL(t, w.addNodes(1, "--metrics", "0")[0])
	addr := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics")
	w.stranger("second").fails(1, "address already in use", "", "node", "--donate", "100MB", "--listen", "/ip4/127.0.0.1/tcp/0", "--metrics", addr)
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %s, %v", r.Status, err)
	}
	return string(b)
}

// metricsURL reads where a node, at its last start, said that it serves metrics.
func metricsURL(t *testing.T, n *launch.Node) string {
	t.Helper()
	log, err := os.ReadFile(n.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	url := ""
	for line := range strings.Lines(string(log)) {
		var ready struct{ Event, Metrics string }
		if json.Unmarshal([]byte(line), &ready) == nil && ready.Metrics != "" {
			url = ready.Metrics
		}
	}
	if url == "" {
		t.Fatalf("%s tells of no metrics: %s", n.Name, log)
	}
	return url
}
