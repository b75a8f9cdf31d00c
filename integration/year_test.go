package integration

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
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
}

func (y yearly) run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, real := time.Now(), stopwatch()
		w := newMoving(t, y.churn)
		var links []protocol.Link
		for i := range y.owners {
			links = append(links, w.store(i, y.profile))
		}
		w.mu.Lock()
		w.tally.owned = true
		w.mu.Unlock()
		t.Logf("stored after %s, %s of them real: %d files", time.Since(begun), real(), len(links))
		for d := range y.days {
			time.Sleep(day)
			if d%10 == 9 {
				w.tell(d+1, y.profile.K, real())
			}
		}
		lost := 0
		c, leave := w.client(false)
		defer leave()
		for i, link := range links {
			if err := w.read(c, link, content(i)); err != nil {
				lost++
				t.Logf("file %d: %v", i, err)
			}
		}
		t.Logf("after %d days, %s real: %d of %d files lost; %s; %+v", y.days, real(), lost, len(links), w, w.traffic())
		made, twice := w.tally.total()
		t.Logf("made %d shards again, %d of them twice; asked %s", made, twice, w.requests())
		if lost > 0 {
			t.Errorf("%d of %d files are lost", lost, len(links))
		}
	})
}

// content is one to four segments' worth of small files.
func content(i int) []byte { return randomBytes(int64(1000 + i)) }

// store has a new owner put a file, and leave.
func (w *moving) store(i int, p protocol.Profile) protocol.Link {
	w.t.Helper()
	c, leave := w.client(true)
	defer leave()
	b := content(i)
	res, err := c.Put(w.ctx, client.Source{Reader: bytes.NewReader(b), Name: fmt.Sprint("file ", i), Size: int64(len(b)), MTime: time.Now()},
		client.PutOptions{Profile: p, Wait: time.Minute})
	if err != nil {
		w.t.Fatalf("file %d: %v", i, err)
	}
	return res.Link
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

// tell logs how the network stands.
func (w *moving) tell(day, k int, real time.Duration) {
	least, lost := margin{1 << 30, 1 << 30}, 0
	for _, m := range w.margins(k) {
		least = margin{min(least.lasting, m.lasting), min(least.now, m.now)}
		if m.lasting < 0 {
			lost++
		}
	}
	made, twice := w.tally.total()
	w.t.Logf("day %d, %s real: least margin %+v, %d groups lost; %d shards made again, %d of them twice; %s", day, real.Round(time.Second), least, lost, made, twice, w)
}

// env reads a number from the environment.
func env(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// TestYear has owners put a file each and stay away for a year, while machines
// are switched off and on and a tenth of them leaves for ever each month.
// Nothing is lost.
func TestYear(t *testing.T) {
	if os.Getenv("CAIRN_YEAR") == "" {
		t.Skip("takes up to an hour: CAIRN_YEAR=1")
	}
	seed := uint64(env("CAIRN_SEED", 1))
	c := calm(uptime90(churn{seed: seed, nodes: env("CAIRN_NODES", 200)}).monthlyLoss(float64(env("CAIRN_LOSS", 10)) / 100))
	yearly{churn: c, owners: env("CAIRN_OWNERS", 100), profile: yearProfile(t), days: env("CAIRN_DAYS", 365)}.run(t)
}

// calm has nodes look for new peers and due work less often than in a living
// network, where a minute costs nothing: of half a million it takes most of the
// test's time.
func calm(c churn) churn {
	c.config = func(cfg *cairnnode.Config) {
		cfg.Timing.GossipEvery, cfg.Timing.UpkeepEvery, cfg.Timing.RepairEvery = 6*time.Hour, time.Hour, time.Hour
		cfg.NoRepair = os.Getenv("CAIRN_NO_REPAIR") != ""
		var level slog.Level
		if err := level.UnmarshalText([]byte(os.Getenv("CAIRN_LOG"))); err == nil {
			cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("node", protocol.ShortPeer(cfg.Net.Self()))
		}
	}
	return c
}

func yearProfile(t *testing.T) protocol.Profile {
	text := os.Getenv("CAIRN_PROFILE")
	if text == "" {
		text = "8/20/30"
	}
	p, err := protocol.ParseProfile(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
