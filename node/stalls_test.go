package node

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// around founds a group of a stranger's identities around this node.
func (w *world) around(p protocol.Profile) *owner {
	o := w.newOwner()
	o.profile, o.members = p, nil
	holders := make([]peer.ID, p.N)
	for i := range holders {
		m := newIdentity(w.t, w.r)
		if i == ownSlot {
			m = identity{id: w.net.id}
		}
		o.members = append(o.members, m)
		holders[i] = m.id
	}
	o.table = o.tableOf(holders)
	return o.found()
}

// tarpit says that it has all, or nothing, and keeps borrowers waiting.
type tarpit struct {
	protocol.Handler
	lacks bool
	wait  time.Duration
	lend  func() []byte // nil: refuses in the end
}

func (p *tarpit) Have(_ context.Context, _ protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	m := new(protocol.HaveReply)
	for range r.Named {
		m.Held = append(m.Held, !p.lacks)
	}
	return m, nil
}

func (p *tarpit) Mend(context.Context, protocol.Remote, *protocol.MendRequest) (*protocol.GetReply, []byte, func(), error) {
	time.Sleep(p.wait)
	if p.lend == nil {
		return nil, nil, nil, protocol.Refuse(protocol.CodeUnavailable, "later")
	}
	b := p.lend()
	return &protocol.GetReply{Length: int64(len(b))}, b, nil, nil
}

// stalling founds a group with granted segments that 46 of its members say they lack,
// so that all need repair by this node. The other members say that they have all, and
// stall.
func (w *world) stalling(segments int, bytes int64, wait time.Duration) {
	o := w.around(protocol.Profile{K: 32, R: 60, N: 100})
	lacks := make(map[protocol.SegmentID]bool)
	var list []protocol.SegmentID
	for range segments {
		s := protocol.SegmentID(randomBytes(w.r, 32))
		o.must(fact(protocol.FactGrant, protocol.SignGrant(o.key, network, o.id, s[:], bytes*int64(o.profile.N))))
		list, lacks[s] = append(list, s), true
	}
	nb := w.node.neighbours
	for i, m := range o.members {
		if m.id == w.net.id {
			continue
		}
		h := &tarpit{lacks: i < 46, wait: wait}
		w.net.peers[m.id] = h
		nb.Beaten(m.id, &protocol.Beat{Clock: time.Now().Unix()})
		if h.lacks {
			nb.HeardList(o.id, m.id, nb.Question(o.id, nil, true), nil)
			for s := range lacks {
				nb.Miss(o.id, m.id, i, s)
			}
		}
	}
	nb.LackOwn(o.id, list)
}

func stallingWorld(t *testing.T, seed uint64) *world {
	return newWorld(t, seed, func(c *Config) { c.Now = time.Now })
}

// Members that stall their loans hold a round of repair no longer than it takes to
// find them out, however many segments they have.
func TestStalledLoansEndARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stallingWorld(t, 909)
		w.stalling(600, 3200, 2*time.Minute-time.Second)
		for range 3 {
			begun := time.Now()
			if err := w.node.repairOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			took := time.Since(begun)
			t.Logf("a round of repair takes %v", took)
			if took > w.node.cfg.Timing.RepairEvery {
				t.Error("no other group is looked at for as long")
			}
			time.Sleep(6 * time.Hour)
		}
		w.node.caller.Close()
		time.Sleep(2 * time.Hour) // until the last lender has spoken
	})
}

// A hiccup of the line has all lenders stall; the segments that were not even tried for
// it wait for an hour, not till it is another's turn.
func TestStallsPutRepairOffForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stallingWorld(t, 917)
		w.stalling(1300, 3200, time.Minute)
		n := w.node
		put := func() (off int) {
			for _, id := range n.neighbours.IDs() {
				f, err := n.factsOf(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				for s := range f.grants {
					if n.repairs.failed.resting(kin{id, s}, n.neighbours.Now()) {
						off++
					}
				}
			}
			return off
		}
		if err := n.repairOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		tried := put()
		time.Sleep(time.Hour)
		if off := put(); tried <= 2*repairsAtOnce || off > repairsAtOnce {
			t.Errorf("%d of %d segments are put off for more than an hour", off, tried)
		}
		n.caller.Close()
		time.Sleep(2 * time.Hour) // till the last lender has spoken
	})
}

// slowTaker takes no shard.
type slowTaker struct{ *tarpit }

func (slowTaker) Put(context.Context, protocol.Remote, *protocol.PutRequest, io.Reader) (*protocol.PutReply, error) {
	time.Sleep(time.Hour)
	return nil, protocol.ErrUnavailable
}

// Members that were off when their shards were made, and stall when these are brought,
// hold a round of repair no longer than others that stall.
func TestStallsEndBringing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stallingWorld(t, 918)
		o := w.around(protocol.Profile{K: 32, R: 60, N: 100})
		s := o.newSegmentOf(o.profile, 1000)
		o.must(fact(protocol.FactGrant, s.grant))
		n := w.node
		for i, m := range o.members {
			if m.id == w.net.id {
				continue
			}
			w.net.peers[m.id] = slowTaker{&tarpit{lacks: true}}
			n.neighbours.Beaten(m.id, &protocol.Beat{Clock: time.Now().Unix()})
			n.neighbours.Miss(o.id, m.id, i, s.id)
			r := &protocol.PutRequest{Record: o.record, Slot: i, Descriptor: s.bytes, Grant: s.grant, Length: s.desc.ShardSize}
			n.repairs.late.keep(parcel{kin{o.id, s.id}, i, m.id}, r, s.shards[i], n.neighbours.Now()+day)
		}
		begun := time.Now()
		n.bringUndelivered(t.Context())
		if took := time.Since(begun); took > 2*gatherSlack {
			t.Errorf("all repair waits for %v", took)
		}
		n.caller.Close()
		time.Sleep(2 * time.Hour)
	})
}

// And while they stall, readers have half of the memory for shards.
func TestStalledLoansKeepNoReaderOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stallingWorld(t, 900)
		honest := w.newOwner().found()
		s := honest.newSegment(200_000)
		honest.mustPut(s)
		w.stalling(60, 2<<20, 10*time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.node.repairLoop(ctx); close(done) }()
		for range 2 * 24 * 12 {
			if _, err := honest.get(s, 0, 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Minute)
		}
		cancel()
		<-done
		w.node.caller.Close()
		time.Sleep(2 * time.Hour) // until the last lender has spoken
	})
}

// A node that mends its own shards no longer asks members that stall.
func TestStalledLoansEndMending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stallingWorld(t, 901)
		o := w.newOwner().found()
		for _, m := range o.members {
			if m.id != w.net.id {
				w.net.peers[m.id] = &tarpit{wait: time.Hour}
				w.node.neighbours.Beaten(m.id, &protocol.Beat{Clock: time.Now().Unix()})
			}
		}
		begun := time.Now()
		for range 50 {
			s := o.newSegment(1000)
			o.must(fact(protocol.FactGrant, s.grant))
			if err := w.node.mendShard(t.Context(), o.id, storage.ShardKey{Segment: s.id, Slot: ownSlot}); err == nil {
				t.Fatal("mended of nothing")
			}
		}
		if took := time.Since(begun); took > 10*time.Minute {
			t.Errorf("%v for 50 shards that nobody lends", took)
		}
		w.node.caller.Close()
		time.Sleep(2 * time.Hour) // until the last lender has spoken
	})
}

// Members that lend at the least rate of the norm lend in time, all k one after the
// other.
func TestSlowLendersLend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const k, size = 16, protocol.MaxShardSize
		wait := size / (16 << 10) * time.Second
		w := newWorld(t, 902, func(c *Config) { c.Now, c.Contract.Down = time.Now, 1<<40 }) // a limit: one at a time
		o := w.around(protocol.Profile{K: k, R: 20, N: 30})
		s := new(segment)
		raw := make([]byte, size)
		d := &protocol.Descriptor{V: protocol.Version, K: k, N: 30, Size: k * size, ShardSize: size, ReadKey: protocol.PublicKeyOf(newKey(w.r))}
		for range d.N {
			d.Roots = append(d.Roots, protocol.Sum(raw))
		}
		s.bytes, s.id = d.Encode()
		o.must(fact(protocol.FactGrant, protocol.SignGrant(o.key, network, o.id, s.id[:], d.Footprint())))
		for _, m := range o.members {
			if m.id != w.net.id {
				w.net.peers[m.id] = &tarpit{wait: wait, lend: func() []byte { return raw }}
				w.node.neighbours.Beaten(m.id, &protocol.Beat{Clock: time.Now().Unix()})
			}
		}
		f, err := w.node.factsOf(t.Context(), o.id)
		if err != nil {
			t.Fatal(err)
		}
		j := &repairJob{roll: w.node.neighbours.Roll(o.id), facts: f, segment: s.id}
		c := &collection{Node: w.node, job: j, k: k, size: size}
		if err := c.know(s.bytes); err != nil {
			t.Fatal(err)
		}
		if err := c.gather(t.Context()); err != nil {
			t.Error(err)
		}
		w.node.caller.Close()
		time.Sleep(2 * time.Hour) // until the last lender has spoken
	})
}
