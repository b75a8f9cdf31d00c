package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"
)

// town is some nodes on a network in memory, inside one synctest bubble.
type town struct {
	t     *testing.T
	net   *memnet.Net
	peers []*memnet.Peer
	nodes []*Node
	stop  context.CancelFunc
	ended chan error
}

func newTown(t *testing.T, nodes int) *town {
	w := &town{t: t, net: memnet.New(memnet.Config{Seed: 50, Latency: 10 * time.Millisecond})}
	ctx, stop := context.WithCancel(t.Context())
	w.stop, w.ended = stop, make(chan error, nodes)
	for range nodes {
		w.add(ctx)
	}
	return w
}

func (w *town) add(ctx context.Context) {
	cfg := memnet.PeerConfig{Server: true}
	if len(w.peers) > 0 {
		cfg.Bootstrap = []peer.AddrInfo{w.peers[0].AddrInfo()}
	}
	p := w.net.Peer(cfg)
	n, err := New(Config{Network: network, Net: p, Key: p.Key(), Store: storage.NewMemory(storage.Config{}), Donated: 1 << 30})
	if err != nil {
		w.t.Fatal(err)
	}
	p.Serve(n.Serve)
	w.peers, w.nodes = append(w.peers, p), append(w.nodes, n)
	go func() { w.ended <- n.Run(ctx) }()
}

// close stops all nodes and waits for them.
func (w *town) close() {
	w.t.Helper()
	w.stop()
	for range w.nodes {
		if err := <-w.ended; err != nil {
			w.t.Error(err)
		}
	}
	if err := w.net.Close(); err != nil {
		w.t.Error(err)
	}
}

// client returns a peer that is no node, and asks through it.
func (w *town) client() (*memnet.Peer, *protocol.Caller) {
	p := w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: []peer.AddrInfo{w.peers[0].AddrInfo()}})
	return p, protocol.NewCaller(p)
}

func TestNodesGetToKnowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 6)
		p, c := w.client()
		if _, err := c.Info(t.Context(), w.peers[3].Self()); err == nil {
			t.Fatal("the client reached a node that nobody told it of")
		}
		time.Sleep(2 * time.Minute)
		for i, n := range w.nodes {
			if got := n.Status().Donors; got != 5 {
				t.Errorf("node %d knows %d nodes", i, got)
			}
		}
		info, err := c.Info(t.Context(), w.peers[0].Self())
		if err != nil {
			t.Fatal(err)
		}
		var told []peer.ID
		for _, d := range info.Donors {
			rec, err := d.Open()
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, rec.Peer)
		}
		if len(told) != 6 || told[0] != w.peers[0].Self() || slices.Contains(told, p.Self()) {
			t.Errorf("told of %d nodes, itself first: %v", len(told), told)
		}
		w.peers[5].Stop()
		time.Sleep(25 * time.Hour)
		if info, err = c.Info(t.Context(), w.peers[0].Self()); err != nil || len(info.Donors) != 5 {
			t.Errorf("after a day told of %d nodes, %v", len(info.Donors), err)
		}
		w.close()
	})
}

// townOwner founds a group over all nodes of a town.
type townOwner struct {
	key    ed25519.PrivateKey
	record []byte
	id     protocol.GroupID
	seg    *segment
}

func (w *town) found(c *protocol.Caller, profile protocol.Profile) *townOwner {
	w.t.Helper()
	r := seeded(w.t, 51)
	o := &townOwner{key: newKey(r)}
	pub := protocol.PublicKeyOf(o.key)
	o.record, o.id = protocol.NewGroupRecord(network, pub, pub, protocol.Hash{}, protocol.Nonce{}).Encode()
	holders := make([]peer.ID, profile.N)
	facts := []protocol.Fact{fact(protocol.FactRecord, o.record), {}}
	for i := range holders {
		holders[i] = w.peers[i].Self()
		m, err := c.Form(w.t.Context(), holders[i], &protocol.FormRequest{Record: o.record, Profile: profile, Bytes: mb})
		if err != nil {
			w.t.Fatal(err)
		}
		facts = append(facts, fact(protocol.FactEnvelope, m.Envelope))
	}
	facts[1] = fact(protocol.FactTable, protocol.SignTable(o.key, network, o.id, profile, holders))
	for _, h := range holders {
		if _, err := c.Facts(w.t.Context(), h, &protocol.FactsRequest{Group: o.id.Prefix(), Offer: facts}); err != nil {
			w.t.Fatal(err)
		}
	}
	like := owner{w: &world{t: w.t, r: r}, key: o.key, id: o.id}
	o.seg = like.newSegment(200_000)
	return o
}

func TestPutFindGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 6)
		time.Sleep(2 * time.Minute)
		p, c := w.client()
		info, err := c.Info(t.Context(), w.peers[0].Self())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range info.Donors {
			if rec, err := d.Open(); err == nil {
				p.Learn(rec.Info())
			}
		}
		o := w.found(c, profile)
		for i := range profile.N {
			r := &protocol.PutRequest{Record: o.record, Slot: i, Descriptor: o.seg.bytes, Grant: o.seg.grant}
			if err := c.Put(t.Context(), w.peers[i].Self(), r, o.seg.shards[i]); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		reader, rc := w.client()
		found := 0
		for id := range reader.Providers(t.Context(), protocol.FindKey(o.id.Prefix())) {
			proof := protocol.SignRead(o.seg.read, network, o.seg.id, reader.Self())
			m, raw, err := rc.Get(t.Context(), id, &protocol.GetRequest{Segment: o.seg.id, Slot: protocol.AnySlot, Proof: proof}, nil, protocol.MaxShardSize)
			if err != nil || !bytes.Equal(raw, o.seg.shards[m.Slot]) {
				t.Errorf("get: %v", err)
			}
			found++
		}
		if found != profile.N {
			t.Errorf("%d of %d members are found", found, profile.N)
		}
		w.close()
	})
}

// A node that is told to stop finishes what is under way, refuses more, and
// is gone within its time even where a peer never ends.
func TestStopFinishesWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 1)
		_, c := w.client()
		one := protocol.Profile{K: 1, R: 1, N: 1}
		o := w.found(c, one)
		like := owner{w: &world{t: t, r: seeded(t, 52)}, key: o.key, id: o.id}
		s := like.newSegmentOf(one, 4*mb)
		slow := w.net.Peer(memnet.PeerConfig{NoListen: true, Rate: mb, Bootstrap: []peer.AddrInfo{w.peers[0].AddrInfo()}})
		sc := protocol.NewCaller(slow)
		put := make(chan error, 1)
		begun := time.Now()
		go func() {
			r := &protocol.PutRequest{Record: o.record, Descriptor: s.bytes, Grant: s.grant}
			put <- sc.Put(t.Context(), w.peers[0].Self(), r, s.shards[0])
		}()
		time.Sleep(time.Second) // the put takes four
		w.stop()
		if err := <-put; err != nil {
			t.Errorf("a put under way: %v", err)
		}
		if err := <-w.ended; err != nil {
			t.Error(err)
		}
		if d := time.Since(begun); d > 6*time.Second {
			t.Errorf("stopping took %v", d)
		}
		if n := w.nodes[0].Status().Shards; n != 1 {
			t.Errorf("%d shards are held", n)
		}
		if _, err := c.Info(t.Context(), w.peers[0].Self()); err == nil {
			t.Error("a stopped node answers")
		}
		_ = w.net.Close()
	})
}

func TestStopGivesUpAtLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 1)
		p, c := w.client()
		one := protocol.Profile{K: 1, R: 1, N: 1}
		o := w.found(c, one)
		like := owner{w: &world{t: t, r: seeded(t, 53)}, key: o.key, id: o.id}
		s := like.newSegmentOf(one, 4*mb)
		body, end := io.Pipe()
		r := &protocol.PutRequest{Record: o.record, Descriptor: s.bytes, Grant: s.grant, Length: 4 * mb}
		v := w.nodes[0].newSession(idleStream{p.Self()})
		if !w.nodes[0].visits.enter(v) {
			t.Fatal("no visit")
		}
		done := make(chan error, 1)
		go func() {
			_, err := v.Put(t.Context(), at(p.Self(), ""), r, body)
			w.nodes[0].visits.leave(v)
			done <- err
		}()
		synctest.Wait()
		begun := time.Now()
		w.stop()
		if err := <-w.ended; !errors.Is(err, errUnfinished) {
			t.Errorf("a put that never ends: %v", err)
		}
		if d := time.Since(begun); d != stopPatience {
			t.Errorf("stopping took %v", d)
		}
		_ = end.Close()
		if err := <-done; err == nil {
			t.Error("half a shard was acknowledged")
		}
		_ = w.net.Close()
	})
}

// idleStream is a stream on which nothing comes.
type idleStream struct{ id peer.ID }

func (s idleStream) Read([]byte) (int, error)         { return 0, io.EOF }
func (s idleStream) Write(b []byte) (int, error)      { return len(b), nil }
func (s idleStream) Close() error                     { return nil }
func (s idleStream) Reset() error                     { return nil }
func (s idleStream) SetReadDeadline(time.Time) error  { return nil }
func (s idleStream) SetWriteDeadline(time.Time) error { return nil }
func (s idleStream) Remote() protocol.Remote          { return at(s.id, "") }

func TestDeletedBytesAreFreedAfterAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 54, func(c *Config) { c.Now = nil })
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.node.Run(ctx) }()
		o := w.newOwner().found()
		gone, kept := o.newSegment(50_000), o.newSegment(50_000)
		o.mustPut(gone)
		o.mustPut(kept)
		o.must(o.deleteFact(gone.id[:]))
		time.Sleep(DefaultTiming().DeleteDelay - time.Hour)
		used := w.store.Usage().Used
		_, err := o.get(gone, 0, 0)
		wantCode(t, "in the week", err, protocol.CodeDeleted)
		if n := w.store.Usage().Shards; n != 2 {
			t.Errorf("%d shards within the week", n)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		w.restart() // it must not forget, nor begin the week anew
		_, err = o.get(gone, 0, 0)
		wantCode(t, "after a restart", err, protocol.CodeDeleted)
		ctx, stop = context.WithCancel(t.Context())
		go func() { ended <- w.node.Run(ctx) }()
		time.Sleep(time.Hour + 2*time.Minute)
		_, err = o.get(gone, 0, 0)
		wantCode(t, "after a week", err, protocol.CodeNotFound)
		if _, err := o.get(kept, 0, 0); err != nil {
			t.Errorf("the other segment: %v", err)
		}
		if u := w.store.Usage(); u.Shards != 1 || u.Used > used-25_000 || w.node.Status().Freeing != 0 {
			t.Errorf("%d shards, %d bytes of %d", u.Shards, u.Used, used)
		}
		wantCode(t, "put again", o.put(at(o.client.id, ""), gone), protocol.CodeDeleted)
		stop()
		<-ended
		w.restart()
		if n := w.node.frees.count(); n != 0 {
			t.Errorf("%d freed segments wait again after a restart", n)
		}
	})
}

// A crash can leave a delete without the note that says since when: the survey
// writes it anew, so that the bytes are freed all the same.
func TestDeleteWithoutItsNote(t *testing.T) {
	w := newWorld(t, 55, nil)
	o := w.newOwner().found()
	s := o.newSegment(5000)
	o.mustPut(s)
	if err := w.store.PutFact(t.Context(), toStore(o.id, o.deleteFact(s.id[:]))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.restart()
		if _, err := o.get(s, 0, 0); protocol.CodeOf(err) != protocol.CodeDeleted {
			t.Errorf("get: %v", err)
		}
		w.clock.step(DefaultTiming().DeleteDelay / 2)
	}
	if err := w.node.upkeepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.store.Usage().Shards; n != 0 {
		t.Errorf("%d shards are left", n)
	}
}

// A renewal or a pointer written again and again charges its group once.
func TestSupersededFactsAreNotCharged(t *testing.T) {
	w := newWorld(t, 56, nil)
	o := w.newOwner().found()
	p := o.newPointer()
	o.must(o.grantPointer(p))
	for seq := range int64(100) {
		o.must(o.write(p, seq), o.write(p, seq+1000))
	}
	used := w.node.quota.Used(o.id)
	w.restart()
	if after := w.node.quota.Used(o.id); after < used-100 || after > used+100 {
		t.Errorf("charged %d bytes, by the survey %d", used, after)
	}
}
