//go:build unix

package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
)

const (
	campaignVariable = "CAIRN_CAMPAIGN" // rounds of TestCampaign; unset: it is skipped

	// A node is killed within this time after its owner began to put.
	campaignSpan = 400 * time.Millisecond
	// One start in this many is killed as well, within the same time.
	campaignFalseStarts = 5
	falseStartSpan      = 300 * time.Millisecond

	// Of the shards that the node acknowledged in older rounds, this many are read
	// after each kill, and all of them every so many rounds and at the end.
	campaignSample = 300
	campaignAll    = 50
)

// campaign is one node that is killed again and again, and what it has
// acknowledged.
type campaign struct {
	*town
	victim *launch.Node
	older  []byte // an index that was the node's once
	rounds []*lot
	counts struct{ acked, unanswered, indexDeleted, indexOlder, falseStarts, read int }
}

// TestCampaign kills a real node by SIGKILL at a random moment while an owner
// puts shards over the network, mostly deletes its index, starts it again, and
// reads everything it had acknowledged: each byte, and each grant.
func TestCampaign(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv(campaignVariable))
	if err != nil {
		t.Skip("kills a node as often as " + campaignVariable + " says: `make campaign` runs it")
	}
	w := newTown(t, 1, launch.Config{})
	t.Logf("seed %d", w.seed)
	c := &campaign{town: w}
	c.victim = w.addNodes(1, "--donate", "20GB", "--listen", fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", w.freePort()))[0]
	begun := time.Now()
	for round := range rounds {
		c.round(round)
		if t.Failed() {
			t.Fatalf("seed %d, round %d", w.seed, round)
		}
		if (round+1)%campaignAll == 0 || round == rounds-1 {
			c.verify(c.rounds)
			t.Logf("%d kills in %s: %+v, 0 lost", round+1, time.Since(begun).Round(time.Second), c.counts)
		}
	}
	if c.counts.acked == 0 || c.counts.unanswered == 0 {
		t.Errorf("%+v: no put was acknowledged, or none cut off: the campaign tests nothing", c.counts)
	}
}

// round puts, kills, starts again and reads.
func (c *campaign) round(n int) {
	c.t.Helper()
	l := newLot(c.town, c.victim)
	span := time.Duration(c.rng.Int64N(int64(campaignSpan)))
	dead := make(chan error, 1)
	l.put(func() { time.AfterFunc(span, func() { dead <- c.victim.Kill() }) })
	c.must(<-dead)
	c.rounds = append(c.rounds, l)
	c.counts.acked += len(l.acked)
	c.counts.unanswered += len(l.begun) - len(l.acked)
	c.spoilIndex()
	c.restart()
	c.verify([]*lot{l})
	c.sample(n)
}

// restart starts the node again; sometimes it is killed before it is ready.
func (c *campaign) restart() {
	c.t.Helper()
	if c.rng.IntN(campaignFalseStarts) == 0 {
		dead := make(chan error, 1)
		time.AfterFunc(time.Duration(c.rng.Int64N(int64(falseStartSpan))), func() { dead <- c.victim.Kill() })
		if err := c.victim.Restart(c.ctx); err != nil && !errors.Is(err, launch.ErrExited) {
			c.t.Fatal(err)
		}
		c.must(<-dead)
		c.must(c.victim.Kill()) // the first may have come before the process existed
		c.counts.falseStarts++
	}
	c.must(c.victim.Restart(c.ctx))
}

// spoilIndex mostly deletes the dead node's index; sometimes it leaves it, or
// puts in its place one that was right some rounds ago.
func (c *campaign) spoilIndex() {
	c.t.Helper()
	path := filepath.Join(c.victim.Home, "node", "store", "index.db")
	now, err := os.ReadFile(path)
	c.must(err)
	switch what := c.rng.IntN(10); {
	case what < 6:
		c.must(os.Remove(path))
		c.counts.indexDeleted++
	case what < 8 && c.older != nil:
		c.must(os.WriteFile(path, c.older, 0o600))
		c.counts.indexOlder++
	}
	if c.older == nil || c.rng.IntN(4) == 0 {
		c.older = now
	}
}

// sample reads some of what the node acknowledged in older rounds.
func (c *campaign) sample(n int) {
	c.t.Helper()
	var some []*lot
	for left := campaignSample; left > 0 && n > 0; {
		l := c.rounds[c.rng.IntN(n)]
		some = append(some, l)
		left -= len(l.acked) + 1
	}
	c.verify(some)
}

// verify reads all of some rounds' shards and grants.
func (c *campaign) verify(lots []*lot) {
	c.t.Helper()
	o := newVisit(c.town, c.victim)
	defer o.close()
	for _, l := range lots {
		c.counts.read += l.verify(o)
	}
}
