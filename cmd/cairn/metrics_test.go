package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMetricsAddr(t *testing.T) {
	for text, want := range map[string]string{
		"9401": "127.0.0.1:9401", ":9401": "127.0.0.1:9401", "localhost:0": "127.0.0.1:0",
		"192.0.2.7:9401": "192.0.2.7:9401", "[::1]:9401": "[::1]:9401",
		"0.0.0.0:9401": "", "[::]:9401": "", "example.org:9401": "", "70000": "", "127.0.0.1": "", "": "", "x:y": "",
	} {
		at, err := parseMetricsAddr(text)
		if (err != nil) != (want == "") || err == nil && at.String() != want {
			t.Errorf("%q: %v, %v, want %q", text, at, err, want)
		}
	}
}

// TestMetricsHost: only requests under the door's own names are served, whatever the
// method.
func TestMetricsHost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	d := &metricsDoor{registry: prometheus.NewRegistry(), listener: l, port: port}
	h := d.handler()
	for _, c := range []struct {
		method, host, path string
		want               int
	}{
		{"GET", "127.0.0.1:" + port, "/metrics", 200},
		{"GET", "localhost:" + port, "/metrics", 200},
		{"HEAD", "localhost:" + port, "/metrics", 200},
		{"GET", "localhost", "/metrics", 421},
		{"GET", "localhost.:" + port, "/metrics", 421},
		{"GET", "127.0.0.2:" + port, "/metrics", 421},
		{"GET", "evil.example:" + port, "/metrics", 421},
		{"POST", "evil.example", "/metrics", 421},
		{"OPTIONS", "evil.example", "/", 421},
		{"POST", "localhost:" + port, "/metrics", 405},
		{"GET", "localhost:" + port, "/", 404},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s%s: %d, want %d; %v", c.method, c.host, c.path, w.Code, c.want, w.Header())
		}
	}
}

// failing is a listener that fails to accept once, and then is closed.
type failing struct {
	net.Listener
	failed bool
}

func (l *failing) Accept() (net.Conn, error) {
	if l.failed {
		return nil, net.ErrClosed
	}
	l.failed = true
	return nil, syscall.EMFILE
}

// TestMetricsLog: what net/http logs goes to the program's log, from the chosen level
// up.
func TestMetricsLog(t *testing.T) {
	for level, want := range map[string]bool{"none": false, "error": false, "warn": true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		a := newApp(strings.NewReader(""), io.Discard, &log)
		a.flags.logLevel = level
		if err := a.startLog(); err != nil {
			t.Fatal(err)
		}
		d := &metricsDoor{registry: prometheus.NewRegistry(), listener: l}
		if err := d.server(a).Serve(&failing{Listener: l}); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if said := log.String(); strings.Contains(said, "level=WARN") != want || (said != "") != want {
			t.Errorf("--log-level %s: %q", level, said)
		}
		a.close()
	}
}

func TestMetricsOnTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	a := newApp(strings.NewReader(""), io.Discard, io.Discard)
	defer a.close()
	if _, err := a.openMetrics(l.Addr().String()); err == nil || statusOf(err) != statusFailed || len(hintsOf(err)) != 1 {
		t.Fatalf("a taken port: %v", err)
	}
	d, err := a.openMetrics("0")
	if err != nil || !strings.HasPrefix(d.url, "http://127.0.0.1:") || strings.Contains(d.url, ":0/") {
		t.Fatalf("any port: %+v, %v", d, err)
	}
	if _, err := http.NewRequest(http.MethodGet, d.url, nil); err != nil {
		t.Error(err)
	}
}
