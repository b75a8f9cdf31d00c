package integration

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/protocol"

	cairnnode "github.com/cairnstore/cairn/node"
)

// wholeSegment is the most bytes that the client puts into a segment.
const wholeSegment = 40 << 20

// TestAuditTraffic counts what crosses the wire for audits in one cycle of a
// network that keeps whole segments: by lot, which grows with what is stored, and
// for samples, which grows with the neighbours.
func TestAuditTraffic(t *testing.T) {
	if testing.Short() {
		t.Skip("months of a network that keeps hundreds of megabytes")
	}
	// most is what audits by lot may move in a month, in GB for each TB. The goal is
	// at most 6; a chunk and its path take far less.
	const most = 1.5
	for _, c := range []struct {
		profile  protocol.Profile
		segments int
	}{
		{protocol.Profile{K: 4, R: 7, N: 10}, 6},   // shards of 4 MiB
		{protocol.Profile{K: 20, R: 36, N: 56}, 2}, // of 2 MiB, by which the client bounds its memory
	} {
		t.Run(c.profile.String(), func(t *testing.T) {
			if c.profile.N > 10 && os.Getenv("CAIRN_AUDITS") == "" {
				t.Skip("minutes, and a gigabyte of memory: make audits")
			}
			lots := auditedMonth{profile: c.profile, segments: c.segments}
			lots.run(t)
			t.Logf("by lot: %s", &lots.wire)
			if lots.proved != lots.shards {
				t.Errorf("%d shards were audited %d times", lots.shards, lots.proved)
			}
			perTB := float64(lots.audits()) / float64(lots.stored) * 1e3
			t.Logf("audits by lot move %.2f GB a month for each TB: %d for %d shards of %d MB", perTB, lots.audits(), lots.shards, lots.stored/1e6)
			if perTB > most {
				t.Errorf("%.1f GB are the most", most)
			}
			if each := lots.bytes[protocol.KindHave] / max(1, lots.asked[protocol.KindHave]); each > 1000 {
				t.Errorf("members that know the same compare it by %d bytes each time", each)
			}
			all := auditedMonth{profile: c.profile, segments: c.segments, samples: true}
			all.run(t)
			t.Logf("with samples: %s", &all.wire)
			pairs := c.profile.N * (c.profile.N - 1) / 2
			t.Logf("samples move %.2f MB a month for each pair of neighbours", float64(all.audits()-lots.audits())/1e6/float64(pairs))
		})
	}
}

// auditedMonth is a cycle in which a group is audited, and nobody asks for
// anything else.
type auditedMonth struct {
	profile  protocol.Profile
	segments int  // whole ones that are put
	samples  bool // neighbours also audit samples of one another

	shards int64 // held, those of the manifest as well
	stored int64 // bytes of these
	proved int64
	wire
}

func (m *auditedMonth) run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := audit.DefaultSettings()
		if !m.samples {
			set.ManyNeighbours, set.SampleStretch = 0, 100*365*day
		}
		c := steady(1, m.profile.N)
		calmed := c.config
		c.config = func(cfg *cairnnode.Config) {
			calmed(cfg)
			cfg.Timing.Audit = set
			cfg.Net = weighed{cfg.Net, &m.wire}
		}
		w := newMoving(t, c)
		owner, leave := w.client(true)
		limit := int64(min(wholeSegment, m.profile.K*protocol.MaxShardSize))
		b := randomBytes(int64(m.segments) * (limit - 32 - 16*limit/(256<<10))) // sealed, it fills its segments
		_, err := owner.Put(w.ctx, client.Source{Reader: bytes.NewReader(b), Size: int64(len(b))}, client.PutOptions{Profile: m.profile, Wait: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		leave()
		m.look(t, w)
		time.Sleep(day) // each has met the others
		for g := range w.margins(m.profile.K) {
			time.Sleep(set.Cycle - audit.At(&set, audit.Phase(&set, g), time.Now()).Into)
		}
		m.begin()
		before := w.traffic().Proved
		time.Sleep(set.Cycle)
		m.end()
		m.proved = w.traffic().Proved - before
	})
}

// look counts what is held.
func (m *auditedMonth) look(t *testing.T, w *moving) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.machines {
		for g, err := range x.store.Groups(w.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			for s, err := range x.store.Shards(w.ctx, g) {
				if err != nil {
					t.Fatal(err)
				}
				m.shards++
				m.stored += s.Size
			}
		}
	}
}

// wire counts the bytes that requests and their replies take, both ways, by the
// request's kind, between begin and end.
type wire struct {
	mu       sync.Mutex
	counting bool
	bytes    map[protocol.Kind]int64
	asked    map[protocol.Kind]int64
}

func (w *wire) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counting, w.bytes, w.asked = true, make(map[protocol.Kind]int64), make(map[protocol.Kind]int64)
}

func (w *wire) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counting = false
}

func (w *wire) add(k protocol.Kind, asked, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counting {
		w.asked[k] += int64(asked)
		w.bytes[k] += int64(bytes)
	}
}

// audits returns the bytes of both halves of all audits.
func (w *wire) audits() int64 { return w.bytes[protocol.KindAudit] + w.bytes[protocol.KindReveal] }

func (w *wire) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(w.bytes)) {
		fmt.Fprintf(&b, "%d %s of %d bytes, ", w.asked[k], k, w.bytes[k])
	}
	return strings.TrimSuffix(b.String(), ", ")
}

// weighed is a network that counts what its peer asks.
type weighed struct {
	protocol.Network
	wire *wire
}

// Open implements protocol.Network.
func (n weighed) Open(ctx context.Context, to peer.ID) (protocol.Stream, error) {
	s, err := n.Network.Open(ctx, to)
	if err != nil {
		return nil, err
	}
	return &weighedStream{Stream: s, wire: n.wire, replied: true}, nil
}

// weighedStream carries requests one after another: what is written after a
// reply begins the next one, with its kind.
type weighedStream struct {
	protocol.Stream
	wire *wire

	mu      sync.Mutex
	kind    protocol.Kind
	replied bool
}

// Write implements protocol.Stream.
func (s *weighedStream) Write(b []byte) (int, error) {
	s.mu.Lock()
	asked := 0
	if s.replied {
		s.kind, s.replied, asked = protocol.Kind(b[0]), false, 1
	}
	k := s.kind
	s.mu.Unlock()
	n, err := s.Stream.Write(b)
	s.wire.add(k, asked, n)
	return n, err
}

// Read implements protocol.Stream.
func (s *weighedStream) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	s.mu.Lock()
	k := s.kind
	s.replied = s.replied || n > 0
	s.mu.Unlock()
	s.wire.add(k, 0, n)
	return n, err
}
