package integration

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"

	cairnnode "github.com/cairnstore/cairn/node"
)

const day = 24 * time.Hour

// yearly is one run: owners put, and are gone for the rest of it.
type yearly struct {
	churn   churn
	owners  int
	profile protocol.Profile
	days    int
	settle  int // days, before those, until the owners come back once: what is new is kept for only 60
}

// run lets the time pass and returns the state of the network at the end.
func (y yearly) run(t *testing.T) (end outcome) {
	defer debug.SetGCPercent(debug.SetGCPercent(1000)) // of nodes that are small, and make much garbage
	synctest.Test(t, func(t *testing.T) {
		begun, real := time.Now(), stopwatch()
		w := newMoving(t, y.churn)
		var links []protocol.Link
		for i := range y.owners {
			files := []int{len(links), len(links) + 1} // four segments, or two
			links = append(links, w.storeFiles(y.profile, files[:1+i%2]...)...)
		}
		w.mu.Lock()
		w.tally.owned = true
		w.mu.Unlock()
		t.Logf("stored after %s, %s of them real: %d files", time.Since(begun), real(), len(links))
		// From here on one thing happens at a time: waking a second processor for
		// each would cost a sixth more for each simulated day.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		if y.settle > 0 {
			time.Sleep(time.Duration(y.settle) * day)
			w.renew()
			t.Logf("the owners were here for the last time after %d days", y.settle)
		}
		for d := range y.days {
			time.Sleep(day)
			if d%10 == 9 || d == y.days-1 {
				end.mean = w.tell(d+1, y.profile.K, real())
			}
		}
		c, leave := w.client(false)
		defer leave()
		for i, link := range links {
			if err := w.read(c, link, content(i)); err != nil {
				end.lost++
				t.Logf("file %d: %v", i, err)
			}
		}
		w.mu.Lock()
		end.made, end.twice = w.tally.total()
		end.mended = len(w.tally.made)
		w.mu.Unlock()
		end.traffic = w.traffic()
		t.Logf("after %d days, %s real: %d of %d files lost; %s; %+v", y.days, real(), end.lost, len(links), w, end.traffic)
		t.Logf("asked: %s", w.requests())
		w.mu.Lock()
		end.upkeep = w.tally.upkeep(y.profile)
		lent, put := w.tally.crossed()
		w.mu.Unlock()
		model := upkeepModel{y.profile, y.churn.life, verdict}.run(2000, time.Duration(y.settle+y.days)*day, 1)
		end.model = model.monthly()
		t.Logf("made %d shards again, %d of them twice, for which %d were lent and %d put", end.made, end.twice, lent, put)
		t.Logf("%s: from each group's first repair to its last, in %.1f months and %d repairs, %.2f shards of a segment moved a month, %.2f by the model",
			y.profile, end.upkeep.months, end.upkeep.repairs, end.upkeep.monthly(), end.model)
	})
	return end
}

// verdict is about how long after it left a holder is replaced: after 7 days in
// which the others are switched on, and a day until most of them agree.
const verdict = 9 * day

// outcome is how a run ended.
type outcome struct {
	lost        int     // files
	mean        float64 // margin of a group, at the end
	mended      int     // groups of which shards were made again
	made, twice int     // shards
	traffic     cairnnode.Traffic
	upkeep      upkeep
	model       float64 // shards a group and month
}

// judge fails the test if something was lost, or more than one shard in twenty
// was made twice.
func (o outcome) judge(t *testing.T) {
	t.Helper()
	if o.lost > 0 {
		t.Errorf("%d files are lost", o.lost)
	}
	if surplus := o.surplus(); surplus*20 > o.made {
		t.Errorf("%d of %d shards were made twice", surplus, o.made)
	}
}

// surplus returns how many shards were made although somebody had them: another
// node, or the very node that they were brought to.
func (o outcome) surplus() int {
	again := int(o.traffic.Repaired+o.traffic.Mended) - o.made
	return o.twice + max(again, 0)
}

// content is a small file.
func content(i int) []byte { return randomBytes(int64(1000 + i)) }

// store has a new owner put a file, and leave.
func (w *moving) store(i int, p protocol.Profile) protocol.Link { return w.storeFiles(p, i)[0] }

// storeFiles has a new owner put files into one group, and leave. Each takes two
// segments: its bytes and its manifest.
func (w *moving) storeFiles(p protocol.Profile, files ...int) (links []protocol.Link) {
	w.t.Helper()
	c, leave := w.client(true)
	defer leave()
	for _, i := range files {
		b := content(i)
		res, err := c.Put(w.ctx, client.Source{Reader: bytes.NewReader(b), Name: fmt.Sprint("file ", i), Size: int64(len(b)), MTime: time.Now()},
			client.PutOptions{Profile: p, Wait: time.Minute})
		if err != nil {
			w.t.Fatalf("file %d: %v", i, err)
		}
		links = append(links, res.Link)
	}
	return links
}

func (w *moving) read(c *client.Client, link protocol.Link, want []byte) error {
	f, err := c.Open(w.ctx, link)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := f.WriteTo(w.ctx, &out, nil); err != nil {
		return err
	}
	if !bytes.Equal(out.Bytes(), want) {
		return fmt.Errorf("other bytes")
	}
	return nil
}

// tell logs the state of the network, and returns the mean of the groups' margins.
func (w *moving) tell(day, k int, real time.Duration) (mean float64) {
	least, lost := margin{1 << 30, 1 << 30}, 0
	all := w.margins(k)
	for _, m := range all {
		least = margin{min(least.lasting, m.lasting), min(least.now, m.now)}
		if m.lasting < 0 {
			lost++
		}
		mean += float64(m.lasting) / float64(len(all))
	}
	w.mu.Lock()
	made, twice := w.tally.total()
	w.mu.Unlock()
	w.t.Logf("day %d, %s real: least margin %+v, %.1f on average, %d groups lost; %d shards made again, %d of them twice; %s",
		day, real.Round(time.Second), least, mean, lost, made, twice, w)
	return mean
}

// env reads a number from the environment.
func env(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// TestYear lets owners put files, come back once a month later, as leases demand,
// and stay away for a year, while machines are switched off and on and a tenth of
// them leave for ever each month. Nothing is lost, and repair moves what the model
// says: at most a quarter of what it would move if each loss were repaired
// separately.
func TestYear(t *testing.T) {
	aYear(t, protocol.Profile{K: 8, R: 20, N: 30}, 100, 100, 4)
}

// TestWideYear is TestYear at the profile of large networks.
func TestWideYear(t *testing.T) {
	aYear(t, protocol.Profile{K: 20, R: 36, N: 56}, 70, 12, 8)
}

func aYear(t *testing.T, p protocol.Profile, nodes, owners int, lazier float64) {
	if os.Getenv("CAIRN_YEAR") == "" {
		t.Skip("takes an hour or two: CAIRN_YEAR=1")
	}
	c := asAmongMany(uptime90(churn{seed: uint64(env("CAIRN_SEED", 1)), nodes: env("CAIRN_NODES", nodes)}).monthlyLoss(float64(env("CAIRN_LOSS", 10)) / 100))
	y := yearly{churn: c, owners: env("CAIRN_OWNERS", owners), profile: yearProfile(t, p), days: env("CAIRN_DAYS", 365), settle: env("CAIRN_SETTLE", 31)}
	o := y.run(t)
	o.judge(t)
	if o.upkeep.repairs == 0 {
		return // too short, or too few
	}
	if times := o.upkeep.monthly() / o.model; times < 0.75 || times > 1.25 {
		t.Errorf("repair moved %.2f times what the model says", times)
	}
	if y = y.eager(); y.days == 0 {
		return
	}
	times := y.run(t).upkeep.monthly() / o.upkeep.monthly()
	t.Logf("eager repair moved %.1f times as much as lazy repair", times)
	if times < lazier && y.profile.K == p.K && y.profile.N == p.N {
		t.Errorf("eager repair moved only %.1f times as much", times)
	}
}

// eager is a run in which each loss is repaired separately, as soon as it is
// found: r is n−1. Each loss is measured, so a few groups and months are enough.
func (y yearly) eager() yearly {
	y.profile.R = y.profile.N - 1
	y.churn.nodes = min(y.churn.nodes, y.profile.N+y.profile.N/5)
	y.owners = min(y.owners, 5)
	y.days = env("CAIRN_EAGER_DAYS", 90)
	return y
}

// TestSixtyDays is a year in small, with three times the loss: what is lost in it
// is repaired.
func TestSixtyDays(t *testing.T) {
	if os.Getenv("CAIRN_SIXTY") == "" {
		t.Skip("takes some minutes: CAIRN_SIXTY=1")
	}
	const owners, loss = 20, 0.3
	c := asAmongMany(uptime90(churn{seed: 1, nodes: 60}).monthlyLoss(loss))
	p := protocol.Profile{K: 8, R: 20, N: 30}
	o := yearly{churn: c, owners: owners, profile: p, days: 60}.run(t)
	o.judge(t)
	if o.mended < owners/2 || o.made < o.mended*(p.N-p.R) {
		t.Errorf("%d shards of %d groups were made again", o.made, o.mended)
	}
	// left is how many of n holders are left after two months, on average, without
	// repair; most groups are repaired once, halfway.
	left := float64(p.N) * math.Exp(-2*loss)
	if o.mean < left-float64(p.K)+3 {
		t.Errorf("the groups can lose %.1f holders more, on average: without repair it were %.1f", o.mean, left-float64(p.K))
	}
}

// calm makes nodes look for new peers and due work less often than in a real
// network. There a look each minute costs nothing; half a million of them would
// take most of the test's time.
func calm(c churn) churn {
	c.config = func(cfg *cairnnode.Config) {
		cfg.Timing.GossipEvery, cfg.Timing.UpkeepEvery, cfg.Timing.RepairEvery, cfg.Timing.NotesEvery = 6*time.Hour, time.Hour, time.Hour, 12*time.Hour
		cfg.NoRepair = os.Getenv("CAIRN_NO_REPAIR") != ""
		var level slog.Level
		if err := level.UnmarshalText([]byte(os.Getenv("CAIRN_LOG"))); err == nil {
			cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("node", protocol.ShortPeer(cfg.Net.Self()))
		}
	}
	return c
}

// asAmongMany is calm, and makes nodes beat and sample like nodes with 2,000
// neighbours.
func asAmongMany(c churn) churn {
	c = calm(c)
	calmed := c.config
	c.config = func(cfg *cairnnode.Config) {
		calmed(cfg)
		cfg.Timing.GossipEvery, cfg.Timing.RepairEvery = 24*time.Hour, 2*time.Hour
		cfg.Timing.Liveness, cfg.Timing.Audit = liveness.DefaultSettings(), audit.DefaultSettings()
		cfg.Timing.Liveness.BeatGap *= time.Duration(2000 / c.nodes)
		cfg.Timing.Audit.ManyNeighbours = 0
	}
	return c
}

func yearProfile(t *testing.T, otherwise protocol.Profile) protocol.Profile {
	text := os.Getenv("CAIRN_PROFILE")
	if text == "" {
		return otherwise
	}
	p, err := protocol.ParseProfile(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
