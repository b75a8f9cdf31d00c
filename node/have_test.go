package node

import (
	"bytes"
	"slices"
	"testing"

	"github.com/cairnstore/cairn/protocol"
)

func TestHaveRights(t *testing.T) {
	w := newWorld(t, 31, nil)
	o := w.newOwner().found()
	s, gone, never := o.newSegment(1000), o.newSegment(1000), o.newSegment(1000)
	o.mustPut(s)
	o.mustPut(gone)
	o.must(o.deleteFact(gone.id[:]))
	stranger := newIdentity(t, w.r)
	named := []protocol.SegmentID{s.id, gone.id, never.id}
	ask := func(from protocol.Remote, r protocol.HaveRequest) (*protocol.HaveReply, error) {
		r.Group = o.id
		return w.node.Have(t.Context(), from, &r)
	}
	m, err := ask(at(stranger.id, ""), protocol.HaveRequest{Named: named})
	if err != nil || !slices.Equal(m.Held, []bool{true, false, false}) {
		t.Fatalf("yes or no for a stranger: %+v, %v", m, err)
	}
	if len(m.FactDigests)+len(m.SegmentDigests)+len(m.Facts)+len(m.Segments) != 0 {
		t.Fatal("a stranger saw lists")
	}
	_, err = ask(at(stranger.id, ""), protocol.HaveRequest{Segments: []int{1}})
	wantCode(t, "stranger asks for lists", err, protocol.CodeDenied)
	_, err = ask(at(stranger.id, ""), protocol.HaveRequest{Proof: o.proof(s, stranger.id)})
	wantCode(t, "read proof for lists", err, protocol.CodeMalformed)
	_, err = w.node.Have(t.Context(), at(stranger.id, ""), &protocol.HaveRequest{Named: named})
	wantCode(t, "unknown group", err, protocol.CodeNotFound)
	for name, c := range map[string]struct {
		from  protocol.Remote
		proof []byte
	}{
		"member":    {at(o.members[5].id, ""), nil},
		"owner key": {at(o.client.id, ""), protocol.SignList(o.key, network, o.id, o.client.id)},
		"renew key": {at(o.client.id, ""), protocol.SignList(o.renew, network, o.id, o.client.id)},
	} {
		m, err := ask(c.from, protocol.HaveRequest{Proof: c.proof, Segments: []int{int(s.id[0])}, Named: named})
		if err != nil || m.SegmentsDone != 1 || !slices.Equal(m.Segments, []protocol.SegmentID{s.id}) || !slices.Equal(m.Held, []bool{true, false, false}) {
			t.Errorf("%s: %+v, %v", name, m, err)
			continue
		}
		want := protocol.Sum(s.id[:])
		if i := 32 * int(s.id[0]); !bytes.Equal(m.SegmentDigests[i:i+32], want[:]) {
			t.Errorf("%s: digest of the segment's bucket", name)
		}
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
		root := protocol.DigestsRoot(m.FactDigests, m.SegmentDigests)
		if m.Same {
			t.Errorf("%s: the same as nothing", name)
		}
		if m, err := ask(c.from, protocol.HaveRequest{Proof: c.proof, Root: root}); err != nil || !m.Same || len(m.FactDigests)+len(m.SegmentDigests) != 0 || m.Validate() != nil {
			t.Errorf("%s, by root: %+v, %v", name, m, err)
		}
		if other, err := ask(c.from, protocol.HaveRequest{Proof: c.proof, Root: make([]byte, 16)}); err != nil || other.Same || !bytes.Equal(other.FactDigests, m.FactDigests) {
			t.Errorf("%s, by another root: %v", name, err)
		}
	}
	if m, err := ask(at(stranger.id, ""), protocol.HaveRequest{Named: named, Root: protocol.DigestsRoot(nil, nil)}); err != nil || m.Same {
		t.Errorf("a stranger is told that it has the same: %v", err)
	}
}

func TestMembers(t *testing.T) {
	w := newWorld(t, 33, nil)
	o := w.newOwner().found()
	s := o.newSegment(1000)
	o.mustPut(s)
	newest := o.members[1].envelope(t, 5, "/ip4/10.0.0.5/tcp/1")
	o.must(fact(protocol.FactEnvelope, o.members[1].envelope(t, 4, "/ip4/10.0.0.4/tcp/1")), fact(protocol.FactEnvelope, newest))
	stranger := newIdentity(t, w.r)
	ask := func(from protocol.Remote, r protocol.MembersRequest) (*protocol.MembersReply, error) {
		r.Group = o.id
		return w.node.Members(t.Context(), from, &r)
	}
	own, _ := w.net.Envelope()
	for name, c := range map[string]struct {
		from protocol.Remote
		r    protocol.MembersRequest
		code protocol.Code
	}{
		"read proof":       {at(stranger.id, ""), protocol.MembersRequest{Segment: s.id, Proof: o.proof(s, stranger.id)}, 0},
		"group proof":      {at(o.client.id, ""), protocol.MembersRequest{Proof: protocol.SignList(o.renew, network, o.id, o.client.id)}, 0},
		"member":           {at(o.members[2].id, ""), protocol.MembersRequest{}, 0},
		"nothing":          {at(stranger.id, ""), protocol.MembersRequest{}, protocol.CodeDenied},
		"another's proof":  {at(stranger.id, ""), protocol.MembersRequest{Segment: s.id, Proof: o.proof(s, o.client.id)}, protocol.CodeDenied},
		"segment not held": {at(stranger.id, ""), protocol.MembersRequest{Segment: protocol.SegmentID{1}, Proof: o.proof(s, stranger.id)}, protocol.CodeNotFound},
	} {
		m, err := ask(c.from, c.r)
		wantCode(t, name, err, c.code)
		if err != nil || c.code != 0 {
			continue
		}
		if err := m.Validate(); err != nil || len(m.Members) != 2 || !bytes.Equal(m.Record, o.record) || !bytes.Equal(m.Table, o.table) {
			t.Fatalf("%s: %d members, %v", name, len(m.Members), err)
		}
		if m.Members[0].Slot != 1 || !bytes.Equal(m.Members[0].Envelope, newest) || m.Members[1].Slot != ownSlot || !bytes.Equal(m.Members[1].Envelope, own) {
			t.Errorf("%s: wrong envelopes", name)
		}
	}
	_, err := w.node.Members(t.Context(), at(stranger.id, ""), &protocol.MembersRequest{Group: protocol.GroupID{9}})
	wantCode(t, "unknown group", err, protocol.CodeNotFound)
}
