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
	dir   string
	lab   *launch.Lab
	links []string
	yard  *yardstick // nil: nothing is measured next to it
}

func measureNetwork(ctx context.Context, s settings) (report, error) {
	r := report{Profile: s.profile.String(), Nodes: s.nodes, Bytes: s.size, Rounds: s.rounds}
	n, err := startNetwork(ctx, s, s.nodes)
	if err != nil {
		return r, err
	}
	defer n.close()
	if n.yard, err = newYardstick(s); err != nil {
		return r, err
	}
	defer n.yard.close()
	for _, step := range []struct {
		name, target string
		bare         func() error
		measure      func(context.Context) (run, error)
	}{
		{"put", "≤ 1.3", n.yard.put, n.put},
		{"get", "≤ 1.3", n.yard.get, n.get},
	} {
		row, err := n.measure(ctx, step.measure, step.bare)
		if err != nil {
			return r, fmt.Errorf("%s: %w", step.name, err)
		}
		r.Rows = append(r.Rows, row.named(step.name, step.target))
	}
	if !s.quick {
		if r.Figures, err = n.figures(ctx); err != nil {
			return r, err
		}
	}
	dead, first, err := n.lossy(ctx)
	r.Rows, r.Figures = append(r.Rows, dead.named("get, n−k holders dead", "≤ 1.3 × get")), append(r.Figures, first...)
	return r, err
}

// startNetwork starts a number of nodes in a new lab, with further flags. close
// ends it.
func startNetwork(ctx context.Context, s settings, nodes int, args ...string) (*network, error) {
	if _, err := processCPU(os.Getpid()); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, "cairn-bench-")
	if err != nil {
		return nil, err
	}
	donate := 2000 + (s.size*int64(s.rounds+1)+rangeFile+smallBytes())>>20*int64(s.profile.N)/int64(s.profile.K)
	n := &network{settings: s, dir: dir}
	n.lab, err = launch.New(launch.Config{Binary: s.cairn, Dir: dir, Donate: fmt.Sprintf("%dMB", donate), NodeArgs: append([]string{"--no-mdns"}, args...)})
	if err == nil {
		_, err = n.lab.AddNodes(ctx, nodes)
	}
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *network) close() {
	if n.lab != nil {
		_ = n.lab.Close()
	}
	_ = os.RemoveAll(n.dir)
}

// measure repeats a measurement, each time next to bare, the yardstick's work, if
// there is one, and takes each figure's median.
func (n *network) measure(ctx context.Context, f func(context.Context) (run, error), bare func() error) (row, error) {
	var cpu, yard, ratio, rate, rss, first []float64
	for range n.rounds {
		if bare != nil {
			y, err := n.yard.cost(bare)
			if err != nil {
				return row{}, err
			}
			yard = append(yard, y)
		}
		r, err := f(ctx)
		if err != nil {
			return row{}, err
		}
		cpu = append(cpu, perGiB(r.cpu, n.size))
		if bare != nil {
			ratio = append(ratio, cpu[len(cpu)-1]/yard[len(yard)-1])
		}
		rate = append(rate, float64(n.size)/1e6/r.wall.Seconds())
		rss = append(rss, float64(r.rss))
		first = append(first, r.first.Seconds())
	}
	return row{CPU: middle(cpu), Yard: middle(yard), Ratio: middle(ratio), Rate: middle(rate), RSS: int64(middle(rss)), First: middle(first)}, nil
}

func (n *network) put(ctx context.Context) (run, error) {
	var out bytes.Buffer
	r, err := n.command(ctx, "put", source(byte(len(n.links)), n.size), &out, "put", "-", "--name", "bench", "--profile", n.profile.String(), "--json", "--quiet")
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

// pump runs cmd with its output going through a pipe of our own, so that the time
// of the first byte is seen. It returns the peak of cmd's resident memory; the
// kernel's own figure would begin with that of this process, from before the
// exec.
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
