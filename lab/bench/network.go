//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
)

// run is one command measured from outside.
type run struct {
	cpu   time.Duration // of the client and of all nodes
	wall  time.Duration
	first time.Duration // until the first byte of output
	rss   int64         // bytes, of the client
}

// network is a lab of nodes and the commands that use it.
type network struct {
	settings
	lab   *launch.Lab
	links []string
}

func measureNetwork(ctx context.Context, s settings, y yardstick) ([]row, error) {
	dir, err := os.MkdirTemp(s.dir, "cairn-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	lab, err := launch.New(launch.Config{Binary: s.cairn, Dir: dir, Donate: fmt.Sprintf("%dMB", 2000+4*s.size>>20*int64(s.rounds)), NodeArgs: []string{"--no-mdns"}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = lab.Close() }()
	if _, err := lab.AddNodes(ctx, s.nodes); err != nil {
		return nil, err
	}
	n := &network{settings: s, lab: lab}
	idle, err := n.idle(ctx)
	if err != nil {
		return nil, err
	}
	rows := []row{idle}
	for _, step := range []struct {
		name, target string
		yard         float64
		measure      func(context.Context) (run, error)
	}{
		{"put", "≤ 1.3", y.put, n.put},
		{"get", "≤ 1.3", y.get, n.get},
		{"get, n−k holders killed", "≤ 1.3 × get", y.get, n.getWithDead},
	} {
		r, err := n.measure(ctx, step.measure)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
		r.Name, r.Target, r.Yard = step.name, step.target, step.yard
		r.Ratio = r.CPU / step.yard
		rows = append(rows, r)
	}
	return rows, nil
}

// measure repeats a measurement and takes each figure's median.
func (n *network) measure(ctx context.Context, f func(context.Context) (run, error)) (row, error) {
	var cpu, rate, rss, first []float64
	for range n.rounds {
		r, err := f(ctx)
		if err != nil {
			return row{}, err
		}
		cpu = append(cpu, r.cpu.Seconds()*float64(1<<30)/float64(n.size))
		rate = append(rate, float64(n.size)/1e6/r.wall.Seconds())
		rss = append(rss, float64(r.rss))
		first = append(first, r.first.Seconds())
	}
	return row{CPU: middle(cpu), Rate: middle(rate), RSS: int64(middle(rss)), First: middle(first)}, nil
}

const idleTime = 10 * time.Second

// idle measures what the nodes use while nobody asks them for anything.
func (n *network) idle(ctx context.Context) (row, error) {
	before := n.nodesCPU()
	select {
	case <-time.After(idleTime):
	case <-ctx.Done():
		return row{}, ctx.Err()
	}
	used := n.nodesCPU() - before
	percent := 100 * used.Seconds() / idleTime.Seconds() / float64(n.nodes)
	return row{Name: fmt.Sprintf("idle node: %.2f %% of a core", percent), Target: "≤ 0.25 %"}, nil
}

func (n *network) put(ctx context.Context) (run, error) {
	var out bytes.Buffer
	source := io.LimitReader(rand.NewChaCha8([32]byte{byte(len(n.links))}), n.size)
	r, err := n.command(ctx, "put", source, &out, "put", "-", "--name", "bench", "--profile", n.profile.String(), "--json", "--quiet")
	if err != nil {
		return r, err
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var result struct {
		Link   string `json:"link"`
		Stored int    `json:"stored"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &result); err != nil {
		return r, fmt.Errorf("read result: %w", err)
	}
	if result.Stored != n.profile.N {
		return r, fmt.Errorf("stored %d of %d shards", result.Stored, n.profile.N)
	}
	n.links = append(n.links, result.Link)
	return r, nil
}

func (n *network) get(ctx context.Context) (run, error) {
	count := &counter{}
	r, err := n.command(ctx, "get", strings.NewReader(n.links[0]+"\n"), count, "cat", "-")
	if err == nil && count.n != n.size {
		err = fmt.Errorf("got %d of %d bytes", count.n, n.size)
	}
	r.first = count.first
	return r, err
}

// getWithDead kills as many nodes as the profile may lose, once, then gets.
func (n *network) getWithDead(ctx context.Context) (run, error) {
	running := 0
	for _, node := range n.lab.Nodes() {
		if node.Running() {
			running++
		}
	}
	for _, node := range n.lab.Nodes() {
		if running > n.nodes-(n.profile.N-n.profile.K) && node.Running() {
			if err := node.Kill(); err != nil {
				return run{}, err
			}
			running--
		}
	}
	return n.get(ctx)
}

// command runs the program from a client's home and measures it and the nodes.
func (n *network) command(ctx context.Context, home string, in io.Reader, out io.Writer, args ...string) (run, error) {
	for _, addr := range n.lab.Bootstrap(3) {
		args = append(args, "--bootstrap", addr)
	}
	cmd := n.lab.Command(ctx, n.lab.Home(home), append(args, "--no-mdns")...)
	var told bytes.Buffer
	cmd.Stdin, cmd.Stderr = in, &told
	before := n.nodesCPU()
	begun := time.Now()
	if c, ok := out.(*counter); ok {
		c.begun = begun
	}
	rss, err := pump(cmd, out)
	r := run{rss: rss, wall: time.Since(begun), cpu: n.nodesCPU() - before}
	if err != nil {
		return r, errors.Join(err, errors.New(told.String()))
	}
	r.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r, nil
}

// pump runs cmd with its output going through a pipe of our own, so that the
// time of the first byte is seen. It returns the peak of its resident memory;
// the kernel's own count would begin with ours, from before the exec.
func pump(cmd *exec.Cmd, out io.Writer) (peak int64, err error) {
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended, watched := make(chan struct{}), make(chan int64)
	go func() { watched <- watchMemory(cmd.Process.Pid, ended) }()
	_, copyErr := bufio.NewReaderSize(pipe, 1<<20).WriteTo(out)
	err = errors.Join(copyErr, cmd.Wait())
	close(ended)
	return <-watched, err
}

func (n *network) nodesCPU() (sum time.Duration) {
	for _, node := range n.lab.Nodes() {
		if node.Running() {
			if cpu, err := processCPU(node.PID()); err == nil {
				sum += cpu
			}
		}
	}
	return sum
}

// counter counts bytes and remembers when the first came.
type counter struct {
	n     int64
	begun time.Time
	first time.Duration
}

func (c *counter) Write(b []byte) (int, error) {
	if c.n == 0 && len(b) > 0 {
		c.first = time.Since(c.begun)
	}
	c.n += int64(len(b))
	return len(b), nil
}
