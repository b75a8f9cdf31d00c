package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cairnstore/cairn/node"
)

// Bounds of the metrics door.
const (
	metricsPath     = "/metrics"
	metricsPatience = 10 * time.Second // for a request's head, and for its answer
	metricsAtOnce   = 4                // scrapes
	metricsHead     = 16 << 10         // bytes of a request's head
)

// metricsDoor answers Prometheus on an address of its own. Its metrics are in a
// registry of its own as well, in which nothing registers by itself.
type metricsDoor struct {
	registry *prometheus.Registry
	listener net.Listener
	port     string
	url      string
}

// openMetrics listens at addr, HOST:PORT or a port of this machine's loopback.
// It is called before anything else of the node begins. If the port is taken it
// returns an error, and never takes another port.
func (a *app) openMetrics(addr string) (*metricsDoor, error) {
	at, err := parseMetricsAddr(addr)
	if err != nil {
		return nil, misuse("for instance --metrics 9401, or --metrics 192.0.2.7:9401", "--metrics %q: %v", addr, err)
	}
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, withHint(fmt.Errorf("--metrics: %w", err), "choose another port, or stop what listens there; port 0 takes any that is free")
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--metrics: %w", err), l.Close())
	}
	d := &metricsDoor{registry: prometheus.NewRegistry(), listener: l, port: port}
	d.url = "http://" + l.Addr().String() + metricsPath
	if !at.Addr().IsLoopback() {
		a.warn("whoever reaches %s can read the metrics: they tell how much is stored here, and when", l.Addr())
	}
	a.onClose(func() { _ = l.Close() })
	return d, d.registry.Register(collectors.NewBuildInfoCollector())
}

// parseMetricsAddr reads an address; a port alone, or :PORT, means loopback. An
// address that stands for all of a machine's addresses is refused, since requests
// are taken under exact names only.
func parseMetricsAddr(text string) (netip.AddrPort, error) {
	if p, err := strconv.ParseUint(text, 10, 16); err == nil {
		text = ":" + strconv.FormatUint(p, 10)
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err == nil && at.Addr().IsUnspecified() {
		err = errors.New("name one address of this machine, not all of them")
	}
	return at, err
}

// serve answers until the command ends.
func (d *metricsDoor) serve(a *app, n *node.Node) error {
	for _, c := range []prometheus.Collector{
		n.Collector(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := d.registry.Register(c); err != nil {
			return fmt.Errorf("serve metrics: %w", err)
		}
	}
	s := d.server(a)
	a.onClose(func() { _ = s.Close() })
	go func() {
		if err := s.Serve(d.listener); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			a.log.Error("metrics are not served any more", "err", err)
		}
	}()
	return nil
}

func (d *metricsDoor) server(a *app) *http.Server {
	return &http.Server{
		Handler: d.handler(), MaxHeaderBytes: metricsHead,
		ReadTimeout: metricsPatience, WriteTimeout: 2 * metricsPatience, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn), // else it would ignore --log-level
	}
}

func (d *metricsDoor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{
		Registry: d.registry, MaxRequestsInFlight: metricsAtOnce, Timeout: metricsPatience,
	}))
	return d.ownNames(mux)
}

// ownNames takes requests under the door's own names only. Otherwise a web page
// whose name resolves to this address could read the metrics through a visitor's
// browser (DNS rebinding).
func (d *metricsDoor) ownNames(next http.Handler) http.Handler {
	at, _ := netip.ParseAddrPort(d.listener.Addr().String())
	allowed := map[string]bool{at.String(): true}
	if at.Addr().IsLoopback() {
		allowed[net.JoinHostPort("localhost", d.port)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !allowed[r.Host] {
			http.Error(w, "metrics are not served under this name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
