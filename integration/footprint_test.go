//go:build linux

package integration

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
)

const longPatience = 20 * time.Minute

var peakMemory = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// footprint follows a process's peak memory. The rusage of a child would count
// the memory of this process, which it shares until it runs its program.
type footprint struct {
	stop chan struct{}
	done chan struct{}
	peak int64 // bytes; read it after end
}

func follow(pid int) *footprint {
	f := &footprint{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			if m := peakMemory.FindSubmatch(procRead(pid, "status")); m != nil {
				n, _ := strconv.ParseInt(string(m[1]), 10, 64)
				f.peak = n << 10
			}
			select {
			case <-tick.C:
			case <-f.stop:
				return
			}
		}
	}()
	return f
}

// end returns the peak in bytes.
func (f *footprint) end() int64 {
	close(f.stop)
	<-f.done
	return f.peak
}

// TestFootprint sends gigabytes, made as they go, through a put and back into a
// hash: the client's memory does not grow with the size.
func TestFootprint(t *testing.T) {
	if os.Getenv(longVariable) == "" {
		t.Skip("gigabytes and minutes: runs with " + longVariable + "=1")
	}
	for _, tc := range []struct {
		profile  string
		nodes, n int
		size     int64
		put, get int64 // the most memory that the client may take, in bytes
	}{
		{"4/7/10", 10, 10, bigSize, 200e6, 100e6},
		{"20/36/56", 58, 56, 1 << 30, 450e6, 250e6}, // 26 segments: no more are ever under way
	} {
		t.Run(strings.ReplaceAll(tc.profile, "/", "-"), func(t *testing.T) {
			w := newTown(t, tc.nodes, launch.Config{})
			w.settle(tc.nodes)
			put := sha256.New()
			var out strings.Builder
			source := io.TeeReader(io.LimitReader(w.noise(), tc.size), put)
			peak := w.newcomer("a").measured(source, &out, "put", "-", "--name", "big", "--profile", tc.profile, "--json", "--quiet")
			var res putResult
			w.must(json.Unmarshal([]byte(out.String()), &res))
			if res.Size != tc.size || res.Stored != tc.n {
				t.Fatalf("put: %d bytes, stored %d of %d", res.Size, res.Stored, res.N)
			}
			if peak == 0 || peak > tc.put {
				t.Errorf("put took %d MB, and %d are the most", peak/1e6, tc.put/1e6)
			}
			got := sha256.New()
			peak = w.newcomer("b").measured(strings.NewReader(res.Link), got, "cat", "-", "--quiet")
			if peak == 0 || peak > tc.get {
				t.Errorf("cat took %d MB, and %d are the most", peak/1e6, tc.get/1e6)
			}
			if string(got.Sum(nil)) != string(put.Sum(nil)) {
				t.Error("other bytes came back")
			}
		})
	}
}

// measured runs a command that must succeed and returns its peak memory.
func (p *person) measured(stdin io.Reader, stdout io.Writer, args ...string) int64 {
	p.t.Helper()
	cmd := p.Command(p.ctx, p.home, p.args(args)...)
	var log strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, &log
	begun := time.Now()
	p.must(cmd.Start())
	late := time.AfterFunc(longPatience, func() { _ = cmd.Process.Kill() })
	f := follow(cmd.Process.Pid)
	err := cmd.Wait()
	late.Stop()
	peak := f.end()
	p.t.Logf("%s: %s, %s", args[0], time.Since(begun).Round(time.Second), fmt.Sprintf("%d MB at most", peak/1e6))
	if err != nil {
		p.t.Fatalf("cairn %s: %v: %s", args[0], err, log.String())
	}
	return peak
}
