package storage_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

// Environment of the child process.
const (
	childDir  = "CAIRN_STORAGE_CHILD"
	childSeed = "CAIRN_STORAGE_SEED"
)

const (
	kills      = 6   // rounds of TestKilled
	childKeys  = 400 // shards that a child puts and deletes
	killSpan   = 300 // a child is killed after at most this many acknowledgements
	killQuota  = 8 << 20
	childLanes = 4
)

func killConfig(dir string) storage.Config {
	return storage.Config{Dir: dir, Owner: "test", Quota: killQuota, Reserve: -1}
}

func killShard(n int) *storage.Shard {
	return storagetest.Shard(4, n%7, n, n%3, 1+(n*7919)%30_000)
}

// TestChildStore is the child process of TestKilled: it prints what it is about
// to do to a shard, and what was acknowledged.
func TestChildStore(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("runs as a child of TestKilled")
	}
	seed, err := strconv.ParseUint(os.Getenv(childSeed), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	d, err := storage.Open(killConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for lane := range childLanes {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(lane)))
			for {
				n := childLanes*rng.IntN(childKeys/childLanes) + lane
				sh := killShard(n)
				verb, do := "put", func() error { return d.PutShard(t.Context(), sh) }
				if rng.IntN(3) == 0 {
					verb, do = "del", func() error { return d.DeleteShard(t.Context(), sh.Key) }
				}
				fmt.Printf("\nbegin %s %d\n", verb, n)
				if err := do(); err != nil {
					fmt.Printf("\nfailed %s %d: %v\n", verb, n, err)
					return
				}
				fmt.Printf("\nacked %s %d\n", verb, n)
			}
		})
	}
	wg.Wait()
}

// TestKilled kills a process that writes, again and again, with the index deleted
// every other time: all that was acknowledged is there.
func TestKilled(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	state := make(map[int]promise)
	for round := range kills {
		if err := killedChild(dir, seed+uint64(round), 1+rng.IntN(killSpan), state); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if round%2 == 1 {
			if err := os.Remove(filepath.Join(dir, "index.db")); err != nil {
				t.Fatal(err)
			}
		}
		d := openDisk(t, killConfig(dir))
		for n := range childKeys {
			p, known := state[n]
			err := storagetest.Holds(t.Context(), d, killShard(n))
			gone := errors.Is(err, storage.ErrNotFound)
			if p == held && err != nil || (p == absent || !known) && !gone || err != nil && !gone {
				t.Errorf("round %d: shard %d, promise %d: %v", round, n, p, err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killedChild runs a child and kills it after a number of acknowledgements.
func killedChild(dir string, seed uint64, after int, state map[int]promise) error {
	child := exec.Command(os.Args[0], "-test.run=^TestChildStore$", "-test.v")
	child.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s=%d", childSeed, seed))
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	var failed error
	acked := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		what, rest, _ := strings.Cut(lines.Text(), " ")
		verb, number, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(number)
		switch {
		case what == "failed":
			failed = errors.New(lines.Text())
		case err != nil: // a line cut off, or one of the test's own
		case what == "begin":
			state[n] = unknown
		case what == "acked":
			acked++
			if state[n] = held; verb == "del" {
				state[n] = absent
			}
		}
		if acked >= after || failed != nil {
			if err := child.Process.Kill(); err != nil {
				return err
			}
			after = 1 << 30 // and read what it still printed
		}
	}
	_ = child.Wait() // it was killed
	if acked == 0 && failed == nil {
		failed = errors.New("the child acknowledged nothing")
	}
	return failed
}
