package launch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Bounds of what is kept of a node's output.
const (
	maxLine  = 1 << 20 // bytes of one line of its output
	tailSize = 2 << 10 // bytes of its log that an error repeats
)

// ErrExited says that a node ended before it was ready.
var ErrExited = errors.New("it exited")

// Node is one storage node of a Lab.
type Node struct {
	Name string // node-01, …
	Home string
	lab  *Lab
	args []string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
	peer   string
	addrs  []string
	boot   []string
	frozen bool // cmd was stopped by Freeze
}

// readyEvent is the line by which a node says that it serves (docs/json.md).
type readyEvent struct {
	Event string   `json:"event"`
	Peer  string   `json:"peer"`
	Addrs []string `json:"addrs"`
}

// Peer returns the node's peer ID, empty until it was ready for the first time.
func (n *Node) Peer() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.peer
}

// Addrs returns its addresses, each ending in /p2p.
func (n *Node) Addrs() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.addrs...)
}

// addr returns the address to bootstrap from: TCP where there is one.
func (n *Node) addr() string {
	addrs := n.Addrs()
	for _, a := range addrs {
		if strings.Contains(a, "/tcp/") {
			return a
		}
	}
	if len(addrs) > 0 {
		return addrs[0]
	}
	return ""
}

// Running reports whether the process lives, frozen or not.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running()
}

func (n *Node) running() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.exited:
		return false
	default:
		return true
	}
}

// awake reports whether the process lives and is not frozen.
func (n *Node) awake() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running() && !n.frozen
}

// PID returns the process's number, 0 when it does not run.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return 0
	}
	return n.cmd.Process.Pid
}

// LogPath names the file with all that the node said, over all its starts.
func (n *Node) LogPath() string { return filepath.Join(n.lab.dir, n.Name+".log") }

// start runs the process and waits until it is ready.
func (n *Node) start(ctx context.Context, bootstrap []string) error {
	ready := make(chan readyEvent, 1)
	exited, err := n.spawn(bootstrap, ready)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	select {
	case r := <-ready:
		n.mu.Lock()
		n.peer, n.addrs = r.Peer, r.Addrs
		n.mu.Unlock()
		return nil
	case <-exited:
		return fmt.Errorf("start %s: %w: %s", n.Name, ErrExited, n.tail())
	case <-ctx.Done():
		return fmt.Errorf("start %s: not ready: %w: %s", n.Name, context.Cause(ctx), n.tail())
	}
}

func (n *Node) spawn(bootstrap []string, ready chan<- readyEvent) (<-chan struct{}, error) {
	log, err := os.OpenFile(n.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(n.lab.cfg.NodeBinary, n.commandLine(bootstrap)...)
	cmd.Env = n.lab.env()
	cmd.Stderr = log
	dieWithParent(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running() {
		return nil, errors.Join(errors.New("it runs already"), log.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	exited := make(chan struct{})
	n.cmd, n.exited, n.boot, n.frozen = cmd, exited, bootstrap, false
	go func() {
		defer close(exited)
		watch(out, log, ready)
		_ = cmd.Wait() // how it ended stands in cmd.ProcessState
		_ = log.Close()
	}()
	return exited, nil
}

func (n *Node) commandLine(bootstrap []string) []string {
	c := n.lab.cfg
	args := []string{"node", "--json", "--home", n.Home, "--no-mdns"}
	if c.Network != "" {
		args = append(args, "--network", c.Network)
	}
	own := slices.Concat(c.NodeArgs, n.args)
	if !slices.Contains(own, "--donate") {
		args = append(args, "--donate", c.Donate)
	}
	if !slices.Contains(own, "--listen") {
		for _, a := range c.Listen {
			args = append(args, "--listen", a)
		}
	}
	for _, a := range bootstrap {
		args = append(args, "--bootstrap", a)
	}
	return append(args, own...)
}

// watch copies what the node prints to its log and reports the ready event.
func watch(out io.Reader, log io.Writer, ready chan<- readyEvent) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		_, _ = fmt.Fprintln(log, lines.Text())
		var e readyEvent
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Event == "ready" {
			select {
			case ready <- e:
			default:
			}
		}
	}
	_, _ = io.Copy(log, out) // a line longer than maxLine: drained, so that the node does not block
}

// tail returns the end of the log, for an error.
func (n *Node) tail() string {
	b, err := os.ReadFile(n.LogPath())
	if err != nil {
		return err.Error()
	}
	if len(b) > tailSize {
		b = b[len(b)-tailSize:]
	}
	return strings.TrimSpace(string(b))
}

// Kill ends the node by SIGKILL and waits for its end. It does nothing to a node
// that does not run.
func (n *Node) Kill() error { return n.end((*os.Process).Kill) }

func (n *Node) end(by func(*os.Process) error) error {
	n.mu.Lock()
	cmd, exited, running := n.cmd, n.exited, n.running()
	n.mu.Unlock()
	if !running {
		return nil
	}
	if err := by(cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", n.Name, err)
	}
	<-exited
	return nil
}

// Terminate asks the node to end (SIGTERM), waits for it and returns its exit
// status. When ctx ends first, the node is killed.
func (n *Node) Terminate(ctx context.Context) (int, error) {
	n.mu.Lock()
	cmd, exited, running := n.cmd, n.exited, n.running()
	n.mu.Unlock()
	if !running {
		return 0, fmt.Errorf("terminate %s: %w", n.Name, ErrExited)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, fmt.Errorf("terminate %s: %w", n.Name, err)
	}
	select {
	case <-exited:
		return cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return -1, errors.Join(fmt.Errorf("terminate %s: %w", n.Name, context.Cause(ctx)), n.Kill())
	}
}

// Restart starts an ended node again, with its home and its flags, then further
// flags, and waits until it is ready.
func (n *Node) Restart(ctx context.Context, args ...string) error {
	if n.Running() {
		return fmt.Errorf("restart %s: it runs", n.Name)
	}
	n.args = slices.Concat(n.args, args)
	boot := n.lab.Bootstrap(3, n)
	if len(boot) == 0 {
		boot = n.boot
	}
	return n.start(ctx, boot)
}
