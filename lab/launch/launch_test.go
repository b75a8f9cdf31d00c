//go:build unix

package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary plays the program: what a node must do to be launched is to
// print its ready event, and to end on SIGTERM.
func TestMain(m *testing.M) {
	switch os.Getenv("LAUNCH_TEST") {
	case "":
		os.Exit(m.Run())
	case "fail":
		fmt.Fprintln(os.Stderr, "cairn: no disk")
		os.Exit(1)
	}
	playProgram(os.Args[1:])
}

func playProgram(args []string) {
	if !slices.Contains(args, "node") {
		fmt.Println(strings.Join(args, " "))
		os.Exit(3)
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	pid := os.Getpid()
	fmt.Printf("{\"event\":\"ready\",\"peer\":\"p%d\",\"addrs\":[\"/udp/%d\",\"/ip4/127.0.0.1/tcp/%d/p2p/p%d\"]}\n", pid, pid, pid, pid)
	fmt.Fprintln(os.Stderr, "args:", args, os.Getenv("CAIRN_HOME"))
	<-term
}

func newLab(t *testing.T, mode string) *Lab {
	t.Helper()
	t.Setenv("CAIRN_HOME", "/leaks")
	l, err := New(Config{Binary: os.Args[0], Env: []string{"LAUNCH_TEST=" + mode}, Network: "lab"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestNodes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	l := newLab(t, "node")
	nodes, err := l.AddNodes(ctx, 4)
	if err != nil || len(nodes) != 4 {
		t.Fatalf("%d nodes, %v", len(nodes), err)
	}
	first := nodes[0]
	if l.Node(first.Peer()) != first || !strings.Contains(l.Bootstrap(1)[0], "/tcp/") {
		t.Fatal("the first node is not found by its peer ID, or its address is not TCP")
	}
	if err := first.Freeze(); err != nil {
		t.Fatal(err)
	}
	if len(l.Bootstrap(9)) != 3 {
		t.Fatal("a frozen node is named for bootstrap")
	}
	if err := first.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := first.Restart(ctx); err == nil {
		t.Fatal("a running node was restarted")
	}
	if err := first.Kill(); err != nil || first.Running() || first.PID() != 0 {
		t.Fatalf("killed node runs: %v", err)
	}
	if len(l.Bootstrap(9)) != 3 {
		t.Fatalf("bootstrap by %v", l.Bootstrap(9))
	}
	old := first.Peer()
	if err := first.Restart(ctx); err != nil || first.Peer() == old {
		t.Fatalf("restart: %v", err)
	}
	if code, err := first.Terminate(ctx); code != 0 || err != nil {
		t.Fatalf("terminate: %d, %v", code, err)
	}
	log := awaitLog(t, nodes[1], "--bootstrap /ip4/127.0.0.1")
	if strings.Contains(log, "/leaks") {
		t.Fatalf("log: %s", log)
	}
}

func TestOwnFlagsReplaceDefaults(t *testing.T) {
	l := newLab(t, "node")
	nodes, err := l.AddNodes(t.Context(), 1, "--donate", "1GB:/own", "--listen", "/own")
	if err != nil {
		t.Fatal(err)
	}
	log := awaitLog(t, nodes[0], "--donate")
	if strings.Count(log, "--donate") != 1 || strings.Count(log, "--listen") != 1 {
		t.Fatalf("log: %s", log)
	}
}

// awaitLog returns a node's log once it holds text: what a process says on
// one stream may be written after what it said later on another.
func awaitLog(t *testing.T, n *Node, text string) string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		log, err := os.ReadFile(n.LogPath())
		if err == nil && strings.Contains(string(log), text) {
			return string(log)
		}
		if time.Now().After(end) {
			t.Fatalf("log without %q: %s, %v", text, log, err)
		}
	}
}

func TestFailedStartTellsWhy(t *testing.T) {
	l := newLab(t, "fail")
	_, err := l.AddNodes(t.Context(), 2)
	if !errors.Is(err, ErrExited) || !strings.Contains(err.Error(), "no disk") {
		t.Fatalf("%v", err)
	}
}

func TestRun(t *testing.T) {
	l := newLab(t, "node")
	r, err := l.Run(t.Context(), l.Home("a"), nil, "get", "-")
	if err != nil || r.Code != 3 || !strings.Contains(string(r.Stdout), "--network lab get -") {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestClosedLabIsGone(t *testing.T) {
	l := newLab(t, "node")
	nodes, err := l.AddNodes(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if nodes[1].Running() {
		t.Fatal("a node outlived its lab")
	}
	if _, err := os.Stat(l.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the folder is still there: %v", err)
	}
	if _, err := l.AddNodes(t.Context(), 1); err == nil {
		t.Fatal("a closed lab started a node")
	}
}
