package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/lab/fuzz"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// countingStore counts which shards are verified.
type countingStore struct {
	storage.Store
	mu       sync.Mutex
	verified []storage.ShardKey
}

func (s *countingStore) Verify(ctx context.Context, k storage.ShardKey) error {
	s.mu.Lock()
	s.verified = append(s.verified, k)
	s.mu.Unlock()
	return s.Store.Verify(ctx, k)
}

func (s *countingStore) take() []storage.ShardKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.verified
	s.verified = nil
	return out
}

// scrubWorld is a node on a real disk whose scrub is noted in memory.
type scrubWorld struct {
	*world
	dir   string
	store *countingStore
	note  []byte
}

func newScrubWorld(t *testing.T, seed uint64, rate int64) *scrubWorld {
	t.Helper()
	w := &scrubWorld{dir: t.TempDir()}
	d, err := storage.Open(storage.Config{Dir: w.dir, Owner: "test", Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	w.store = &countingStore{Store: d}
	w.world = newWorld(t, seed, func(cfg *Config) {
		cfg.Store = w.store
		cfg.Scrub = ScrubConfig{
			Rate: rate,
			Load: func() ([]byte, error) { return w.note, nil },
			Save: func(b []byte) error { w.note = b; return nil },
		}
	})
	return w
}

// pass scrubs until a pass has ended and returns how many stretches it took.
func (w *scrubWorld) pass() (stretches int) {
	w.t.Helper()
	for {
		wait, err := w.node.scrubOnce(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if stretches++; wait == DefaultTiming().ScrubEvery {
			return stretches
		}
		if wait != scrubPause || stretches > 1000 {
			w.t.Fatalf("stretch %d: next in %v", stretches, wait)
		}
		w.clock.step(wait)
	}
}

// rot flips a bit of these bytes in the store's log.
func (w *scrubWorld) rot(b []byte) {
	w.t.Helper()
	name := filepath.Join(w.dir, "logs", "0000000001.log")
	log, err := os.ReadFile(name)
	if err != nil {
		w.t.Fatal(err)
	}
	at := bytes.Index(log, b)
	if at < 0 {
		w.t.Fatal("the bytes are not on the disk")
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte{b[len(b)/2] ^ 4}, int64(at+len(b)/2))
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// holds asks the node whether it has a segment.
func (o *owner) holds(s *segment) bool {
	o.w.t.Helper()
	r, err := o.w.node.Have(o.w.t.Context(), at(o.client.id, ""), &protocol.HaveRequest{Group: o.id, Named: []protocol.SegmentID{s.id}})
	if err != nil || len(r.Held) != 1 {
		o.w.t.Fatal(r, err)
	}
	return r.Held[0]
}

// Rot is found by the next pass: the node no longer says that it has the shard,
// before and after a restart, does not serve it, and takes it again.
func TestScrubFindsRot(t *testing.T) {
	w := newScrubWorld(t, 72, 0)
	o := w.newOwner().found()
	var segments []*segment
	for range 5 {
		segments = append(segments, o.newSegment(50_000))
		o.mustPut(segments[len(segments)-1])
	}
	w.pass()
	if st := w.node.Status().Scrub; st.Damaged != 0 || st.Shards != 5 || st.Begun != "" || st.Finished == "" || st.Bytes != 5*segments[0].desc.ShardSize {
		t.Fatalf("after a pass over a sound disk: %+v", st)
	}
	bad := segments[2]
	w.rot(bad.shards[ownSlot])
	if wait, err := w.node.scrubOnce(t.Context()); err != nil || wait < 29*24*time.Hour {
		t.Fatalf("the next pass comes after %v, %v", wait, err)
	}
	digest := func() []byte {
		r, err := w.node.Have(t.Context(), at(o.members[0].id, ""), &protocol.HaveRequest{Group: o.id})
		if err != nil {
			t.Fatal(err)
		}
		return r.SegmentDigests
	}
	sound := digest()
	w.clock.step(DefaultTiming().ScrubEvery)
	w.pass()
	for _, when := range []string{"found", "after a restart"} {
		if st := w.node.Status().Scrub; st.Damaged != 1 {
			t.Errorf("%s: %+v", when, st)
		}
		for _, s := range segments {
			if o.holds(s) != (s != bad) {
				t.Errorf("%s: segment %s, damaged %t: held %t", when, s.id, s == bad, o.holds(s))
			}
		}
		if bytes.Equal(digest(), sound) {
			t.Errorf("%s: the digests are those of a sound disk", when)
		}
		_, err := o.get(bad, 0, 0)
		wantCode(t, "get of a rotten shard, "+when, err, protocol.CodeCorrupt)
		w.restart()
	}
	used := w.node.quota.Used(o.id)
	o.mustPut(bad)
	if b, err := o.get(bad, 0, 0); err != nil || !bytes.Equal(b, bad.shards[ownSlot]) {
		t.Errorf("get after it was put again: %v", err)
	}
	if st := w.node.Status().Scrub; !o.holds(bad) || st.Damaged != 0 || !bytes.Equal(digest(), sound) {
		t.Errorf("after it was put again: held %t, %+v", o.holds(bad), st)
	}
	if now := w.node.quota.Used(o.id); now != used {
		t.Errorf("the group was charged %d bytes, now %d", used, now)
	}
}

// Rot that a reader comes upon, wherever in the shard's record, is known from
// then on, long before the disk is read over.
func TestReaderFindsRot(t *testing.T) {
	for i, c := range []struct {
		name   string
		length int64 // of the range asked for; 0: all
		part   func(*segment) []byte
	}{
		{"leaf", 100, func(s *segment) []byte { return s.shards[ownSlot][:protocol.LeafSize] }},
		{"data", 0, func(s *segment) []byte { return s.shards[ownSlot] }},
		{"outboard", 100, func(s *segment) []byte {
			outboard, _ := protocol.Outboard(s.shards[ownSlot])
			return outboard
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newScrubWorld(t, 80+uint64(i), 0)
			o := w.newOwner().found()
			s := o.newSegment(200_000)
			o.mustPut(s)
			w.rot(c.part(s))
			_, err := o.get(s, 0, c.length)
			wantCode(t, "get", err, protocol.CodeCorrupt)
			if st := w.node.Status().Scrub; st.Damaged != 1 || o.holds(s) {
				t.Errorf("held %t, %+v", o.holds(s), st)
			}
			o.mustPut(s)
			if st := w.node.Status().Scrub; st.Damaged != 0 || !o.holds(s) {
				t.Errorf("after it was put again: held %t, %+v", o.holds(s), st)
			}
		})
	}
}

// A rotten fact counts as not held, so that it is taken when it is offered.
func TestScrubFindsRottenFact(t *testing.T) {
	w := newScrubWorld(t, 73, 0)
	o := w.newOwner().found()
	p := o.newPointer()
	grant, head := o.grantPointer(p), o.write(p, 1)
	o.must(grant, head)
	w.rot(head.Bytes)
	w.pass()
	if g, release, err := w.node.groups.Open(t.Context(), o.id); err != nil || g.Knows(head.ID()) || !g.Knows(grant.ID()) {
		t.Errorf("the rotten fact counts as held: %v", err)
	} else {
		release()
	}
	o.must(head)
	w.restart()
	if g, release, err := w.node.groups.Open(t.Context(), o.id); err != nil || !g.Knows(head.ID()) {
		t.Errorf("the fact offered again is not on the disk: %v", err)
	} else {
		release()
	}
}

// A rotten note of the node's own is dropped: nobody brings it again, and it
// would be told of at each look for ever.
func TestScrubDropsRottenNote(t *testing.T) {
	w := newScrubWorld(t, 83, 0)
	o := w.newOwner().found()
	o.mustPut(o.newSegment(1000))
	count := func() (notes, facts int) {
		for f, err := range w.store.Facts(t.Context(), o.id) {
			switch {
			case err == nil && note.Is(f.Kind):
				notes++
			case err == nil:
				facts++
			default:
				t.Error(err)
			}
		}
		return notes, facts
	}
	notes, facts := count()
	for f, err := range w.store.Facts(t.Context(), o.id) {
		if err == nil && f.Kind == note.Origin {
			w.rot(f.Bytes)
		}
	}
	w.pass()
	if n, f := count(); n != notes-1 || f != facts {
		t.Errorf("%d notes and %d facts after a pass, of %d and %d", n, f, notes, facts)
	}
}

// A pass goes on where it was when the node ended, and a crash costs at most
// what was read in the last minutes. Every shard is read exactly once.
func TestScrubResumes(t *testing.T) {
	const each, restarts = 7, 3
	w := newScrubWorld(t, 74, scrubLeast) // a small shard a stretch
	var want []storage.ShardKey
	for range 3 {
		o := w.newOwner().found()
		for range each {
			s := o.newSegment(1000)
			o.mustPut(s)
			want = append(want, storage.ShardKey{Segment: s.id, Slot: ownSlot})
		}
	}
	w.store.take()
	for range restarts {
		for range 5 {
			if wait, err := w.node.scrubOnce(t.Context()); err != nil || wait != scrubPause {
				t.Fatal(wait, err)
			}
		}
		if err := w.node.scrub.save(w.clock.now()); err != nil { // as the loop does at its end
			t.Fatal(err)
		}
		w.restart()
		if w.node.Status().Scrub.Begun == "" {
			t.Error("after a restart no pass is under way")
		}
	}
	w.pass()
	got := w.store.take()
	byKey := func(a, b storage.ShardKey) int { return bytes.Compare(a.Segment[:], b.Segment[:]) }
	slices.SortFunc(got, byKey)
	slices.SortFunc(want, byKey)
	if !slices.Equal(got, want) {
		t.Errorf("%d shards were read, %d are held: not each once", len(got), len(want))
	}
	w.clock.step(DefaultTiming().ScrubEvery)
	for range 5 { // and now a crash, more than scrubSave after the pass began
		if _, err := w.node.scrubOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.clock.step(scrubSave)
	}
	w.restart()
	w.pass()
	if n := len(w.store.take()); n > len(want)+1 {
		t.Errorf("%d shards read in a pass with a crash, of %d", n, len(want))
	}
}

// Requests under way come first, but not for ever; and a disk that is missing
// is waited for.
func TestScrubYields(t *testing.T) {
	w := newScrubWorld(t, 75, 0)
	o := w.newOwner().found()
	o.mustPut(o.newSegment(1000))
	w.store.take()
	w.node.underWay.Add(1)
	for i := range scrubPatience {
		if wait, err := w.node.scrubOnce(t.Context()); err != nil || wait != scrubPause || len(w.store.take()) > 0 {
			t.Fatalf("stretch %d beside a request: %v, %v", i, wait, err)
		}
	}
	if _, err := w.node.scrubOnce(t.Context()); err != nil || len(w.store.take()) == 0 {
		t.Errorf("a node that is never idle does not read on: %v", err)
	}
	w.node.underWay.Add(-1)
	w.clock.step(DefaultTiming().ScrubEvery)
	away := &folder{Store: w.store}
	w.node.store = away
	away.away.Store(true)
	if wait, err := w.node.scrubOnce(t.Context()); err == nil || wait != DefaultTiming().UpkeepEvery {
		t.Errorf("on a missing disk: %v, %v", wait, err)
	}
	if st := w.node.Status().Scrub; st.Damaged != 0 || st.Begun == "" {
		t.Errorf("on a missing disk: %+v", st)
	}
	away.away.Store(false)
	w.pass()
}

// The loop reads all of the disk once in a month, slowly, and leaves a node
// alone that has just started.
func TestScrubLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countingStore{Store: storage.NewMemory(storage.Config{})}
		w := newWorld(t, 76, func(cfg *Config) {
			cfg.Store, cfg.Now = store, time.Now
			cfg.Scrub.Rate = scrubLeast
		})
		o := w.newOwner().found()
		const shards = 120
		first, every := DefaultTiming().ScrubFirst, DefaultTiming().ScrubEvery
		for range shards {
			o.mustPut(o.newSegment(100))
		}
		store.take()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.node.scrubLoop(ctx) }()
		for _, at := range []struct {
			after time.Duration
			read  int
		}{
			{first * 3 / 4, 0}, {first/2 + shards*time.Second, shards},
			{every - first - shards*time.Second, 0}, {2*first + 2*shards*time.Second, shards},
		} {
			time.Sleep(at.after)
			synctest.Wait()
			if n := len(store.take()); n != at.read {
				t.Errorf("%v later: %d shards were read, want %d", at.after, n, at.read)
			}
		}
		cancel()
		<-ended
	})
}

// What stands in the file is bounded, and reads back as it was written.
func FuzzScrubNote(f *testing.F) {
	whole, err := protocol.Encode(scrubNote{V: scrubVersion, At: scrubPlace{Begun: 1, Slot: 3}, Damaged: []damagedNote{{Slot: 2}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		var n *scrubNote
		var err error
		t.Frugal(uint64(1<<20+64*len(b)), func() { n, err = parseScrubNote(b) })
		if err != nil {
			return
		}
		t.Accepted()
		if again, err := protocol.Encode(n); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%+v reads back otherwise: %v", n, err)
		}
	})
}
