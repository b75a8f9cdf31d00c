package integration

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// yesman acknowledges whatever it is told, and names others for a group's slots.
type yesman struct {
	protocol.Handler
	names []protocol.Envelope // by slot; empty: nobody
}

func (y *yesman) Members(ctx context.Context, from protocol.Remote, r *protocol.MembersRequest) (*protocol.MembersReply, error) {
	m, err := y.Handler.Members(ctx, from, r)
	if err != nil {
		m = new(protocol.MembersReply)
	}
	m.Members = nil
	for slot, e := range y.names {
		if len(e) > 0 {
			m.Members = append(m.Members, protocol.Member{Slot: slot, Envelope: e})
		}
	}
	return m, nil
}

func (y *yesman) Facts(ctx context.Context, from protocol.Remote, r *protocol.FactsRequest) (*protocol.FactsReply, error) {
	if len(r.Offer) > 0 {
		return &protocol.FactsReply{Results: make([]protocol.Code, len(r.Offer))}, nil
	}
	return y.Handler.Facts(ctx, from, r)
}

// freed is a node that has freed all groups.
type freed struct{ protocol.Handler }

func (f *freed) Facts(context.Context, protocol.Remote, *protocol.FactsRequest) (*protocol.FactsReply, error) {
	return nil, protocol.Refuse(protocol.CodeUnknown, "not held")
}

// Holders that have freed a group do not renew it, and no word says that they do. To
// a deletion the same answer is a yes, and then no group is left that fails a renewal.
func TestRenewWhatIsFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6, memnet.Config{Latency: 10 * time.Millisecond})
		_, session := w.owner(t.TempDir())
		up := put(w, session(), randomBytes(1<<20), client.PutOptions{})
		for _, m := range w.nodes {
			m.Serve(func(s protocol.Stream) { _ = protocol.Serve(w.ctx, s, &freed{m.node}) })
		}
		res, err := session().Renew(w.ctx, client.RenewOptions{})
		if !errors.Is(err, client.ErrTooFew) || res == nil || res.Groups != 1 || res.Renewed+res.Acknowledged != 0 || !res.Until.IsZero() {
			t.Errorf("renew: %+v, %v", res, err)
		}
		if res, err := session().Delete(w.ctx, up.Link, client.DeleteOptions{}); err != nil || res.Acknowledged != res.Holders {
			t.Errorf("delete: %+v, %v", res, err)
		}
		if res, err := session().Renew(w.ctx, client.RenewOptions{}); err != nil || res.Groups != 0 {
			t.Errorf("renew, with nothing left: %+v, %v", res, err)
		}
	})
}

// bySlot returns the holders of a file's group.
func (w *world) bySlot(l protocol.Link) map[int]*member {
	w.t.Helper()
	h, err := w.client(false).Health(w.ctx, l)
	w.must(err)
	ids := make(map[int]*member)
	for _, x := range h.Holders {
		ids[x.Slot] = w.member(x.Peer)
	}
	return ids
}

// One holder of six is there and says yes for all: in its own name for every slot,
// or by peers of its own that it names. What is deleted stays to be told, and the
// others hear of it when they are back.
func TestOneAcknowledgesForAll(t *testing.T) {
	for _, tc := range []struct {
		name   string
		sybils bool
		said   int
	}{{"itself", false, 1}, {"its sybils", true, 6}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 7, memnet.Config{Latency: 10 * time.Millisecond})
				_, session := w.owner(t.TempDir())
				up := put(w, session(), randomBytes(1<<20), client.PutOptions{})
				ids := w.bySlot(up.Link)
				names := make([]protocol.Envelope, len(ids))
				for slot := range names {
					m := ids[0]
					if slot > 0 && tc.sybils {
						m = w.addNode()
						w.say(m, nil)
					}
					var err error
					names[slot], err = m.Envelope()
					w.must(err)
				}
				w.say(ids[0], names)
				for slot := 1; slot < len(ids); slot++ {
					ids[slot].Stop()
				}
				c := session()
				res, err := c.Delete(w.ctx, up.Link, client.DeleteOptions{})
				if res == nil || res.Acknowledged != tc.said || res.Enough != tc.sybils || errors.Is(err, client.ErrTooFew) == tc.sybils {
					t.Errorf("delete: %+v, %v", res, err)
				}
				if !c.Owes() {
					t.Error("nobody is to be told any more, though no honest holder knows")
				}
				renewed, err := c.Renew(w.ctx, client.RenewOptions{})
				if !tc.sybils && renewed != nil && renewed.Acknowledged > 1 {
					t.Errorf("renew: %+v, %v", renewed, err)
				}
				for slot := 1; slot < len(ids); slot++ {
					ids[slot].Start()
				}
				time.Sleep(time.Minute)
				if tc.sybils {
					time.Sleep(31 * 24 * time.Hour) // what enough are believed to know is over by then
				}
				c = session()
				w.must(c.Attend(w.ctx))
				if _, err := get(w, up.Link); !errors.Is(err, client.ErrRevoked) {
					t.Errorf("when they are back: %v", err)
				}
				if c.Owes() {
					t.Error("somebody is still to be told")
				}
			})
		})
	}
}

// What was deleted stays deleted in its owner's list: successors that have said so
// and do not answer in a later session unsay nothing, though that session tells them
// again.
func TestDeletedStaysDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, memnet.Config{Latency: 10 * time.Millisecond})
		o, session := w.owner(t.TempDir())
		up := put(w, session(), randomBytes(1<<20), client.PutOptions{})
		ids := w.bySlot(up.Link)
		names := make([]protocol.Envelope, len(ids))
		var successors []*member
		for slot := range names {
			m := ids[0]
			if slot > 0 {
				ids[slot].Stop()
				m = w.addNode()
				w.say(m, nil)
				successors = append(successors, m)
			}
			var err error
			names[slot], err = m.Envelope()
			w.must(err)
		}
		w.say(ids[0], names)
		if res, err := session().Delete(w.ctx, up.Link, client.DeleteOptions{}); err != nil || !res.Enough {
			t.Fatalf("delete: %+v, %v", res, err)
		}
		for _, m := range successors {
			m.Stop()
		}
		c := session()
		w.must(c.Attend(w.ctx))
		if list := must(o.Uploads()); len(list) != 0 {
			t.Errorf("listed again: %+v", list)
		}
		if at, err := o.DeletedAt(up.Link); err != nil || at.IsZero() {
			t.Errorf("deleted at %s, %v", at, err)
		}
		if res, err := c.Delete(w.ctx, up.Link, client.DeleteOptions{}); err != nil || !res.Enough {
			t.Errorf("delete it again: %+v, %v", res, err)
		}
		if !c.Owes() {
			t.Error("nobody is to be told any more")
		}
	})
}

// say makes a member a yesman.
func (w *world) say(m *member, names []protocol.Envelope) {
	y := &yesman{m.node, names}
	m.Serve(func(s protocol.Stream) { _ = protocol.Serve(w.ctx, s, y) })
}
