//go:build linux

package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAttacksOnANode has four raiders, with new identities as they need them,
// attack one node in each way over libp2p, while somebody reads a file from it.
// Every piece comes, and is true. Afterwards memory, goroutines and descriptors
// are as before. Where there are two cores, node and reader have one and the
// raiders the other, so that the test measures what the attack costs the node. It
// logs how long pieces took before and during, and with CAIRN_LONG judges that.
func TestAttacksOnANode(t *testing.T) {
	slow(t)
	others := onFirstCore(t)
	f := newFort(t)
	pieces, tries := 200, 1
	if os.Getenv(longVariable) != "" && others != nil {
		pieces, tries = 600, 3 // other work on the machine may disturb one measurement, but not all
	}
	for _, name := range attackNames {
		t.Run(name, func(t *testing.T) {
			for try := 1; f.underAttack(t, name, pieces, others) && tries > 1; try++ {
				if try == tries {
					t.Fatalf("p99 is more than doubled, measured %d times", tries)
				}
			}
		})
	}
}

// restless is by how much two measurements of the same p99 may differ.
const restless = 10 * time.Millisecond

// underAttack measures and checks one attack. It reports whether p99 was more
// than doubled.
func (f *fort) underAttack(t *testing.T, name string, pieces int, others *unix.CPUSet) (slowed bool) {
	before, calm := usage(), f.read(pieces)
	r := f.raid(t, others, raidOrder{Attack: name, Node: f.info(), Segment: f.held.Key.Segment, Group: f.held.Group, Names: raidNames})
	raided := f.read(pieces)
	held := heapHeld()
	told := r.stop()
	s := f.node.Status().Traffic
	t.Logf("p99 %s before, %s during (%.1f); median %s, %s; %.0f claims a second were written by %.1f identities a second; %d peers shunned, %d streams turned away",
		round(p99(calm)), round(p99(raided)), float64(p99(raided))/float64(p99(calm)), round(calm[pieces/2]), round(raided[pieces/2]),
		float64(told.Told)/told.Seconds, float64(told.Names)/told.Seconds, s.Shunned, s.TurnedAway)
	if held > before.heap+128<<20 {
		t.Errorf("%d bytes are held during the attack, %d before", held, before.heap)
	}
	waitFor(t, "all is as before", func() bool {
		now := usage()
		return now.goroutines <= before.goroutines+20 && now.files <= before.files+5
	})
	return p99(raided) > 2*p99(calm)+restless
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// raidProcess is a raid that is under way.
type raidProcess struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Closer
	out *json.Decoder
}

// raid starts a raid, on the other cores if there are any, and waits until it is
// under way.
func (f *fort) raid(t *testing.T, others *unix.CPUSet, o raidOrder) *raidProcess {
	t.Helper()
	cmd := exec.CommandContext(f.ctx, os.Args[0])
	cmd.Env = append(os.Environ(), raidVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	f.must(err)
	out, err := cmd.StdoutPipe()
	f.must(err)
	f.must(cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if others != nil {
		f.must(setAffinity(cmd.Process.Pid, others))
	}
	f.must(json.NewEncoder(in).Encode(o))
	r := &raidProcess{t, cmd, in, json.NewDecoder(bufio.NewReader(out))}
	f.must(r.out.Decode(&struct{}{}))
	return r
}

// stop ends a raid.
func (r *raidProcess) stop() (said raidResult) {
	r.t.Helper()
	if err := r.in.Close(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.out.Decode(&said); err != nil {
		r.t.Fatal("raid: ", err)
	}
	if err := r.cmd.Wait(); err != nil {
		r.t.Fatal("raid: ", err)
	}
	return said
}

// onFirstCore keeps this process on the first of its cores until the test ends.
// It returns the others, or nil where there are none.
func onFirstCore(t *testing.T) *unix.CPUSet {
	t.Helper()
	var all, first unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	if all.Count() < 2 {
		return nil
	}
	others, core := all, 0
	for !all.IsSet(core) {
		core++
	}
	first.Set(core)
	others.Clear(core)
	if err := setAffinity(os.Getpid(), &first); err != nil {
		t.Fatal(err)
	}
	runtime.GOMAXPROCS(1)
	t.Cleanup(func() {
		if err := setAffinity(os.Getpid(), &all); err != nil {
			t.Error(err)
		}
		runtime.SetDefaultGOMAXPROCS()
	})
	return &others
}

// setAffinity moves all threads of a process; later threads run where the thread
// that starts them does.
func setAffinity(pid int, set *unix.CPUSet) error {
	for range 2 { // one may have started meanwhile
		list, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*"))
		if err != nil {
			return err
		}
		for _, task := range list {
			tid, err := strconv.Atoi(filepath.Base(task))
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(tid, set); err != nil && err != unix.ESRCH {
				return err
			}
		}
	}
	return nil
}

type used struct {
	goroutines, files int
	heap              int64
}

func usage() used {
	list, _ := os.ReadDir("/proc/self/fd")
	return used{runtime.NumGoroutine(), len(list), heapHeld()}
}

// heapHeld returns the bytes that garbage collection leaves.
func heapHeld() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// waitFor polls a condition.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("never: ", what)
		}
	}
}
