package protocol

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/lab/fuzz"
)

// FuzzServe feeds the answering half with whatever a peer may send. It must return,
// end the stream, and send nothing but whole replies.
func FuzzServe(f *testing.F) {
	seed(f, func(v vector) []byte { return v.input() }, "request frame")
	w := newWorld(f)
	put := w.putRequest()
	one := append(frameOf(byte(KindPut), mustEncode(put)), generated(int(put.Length))...)
	get := frameOf(byte(KindGet), mustEncode(w.getRequest()))
	f.Add(append(append(bytes.Clone(one), get...), get...))
	f.Add(append(bytes.Clone(one[:len(one)-1]), get...))
	f.Add(append(frameOf(byte(KindFacts), mustEncode(&FactsRequest{})), frameOf(byte(KindHave), mustEncode(&HaveRequest{}))...))
	f.Add(append(frameOf(byte(KindAudit), mustEncode(w.auditRequest())), frameOf(byte(KindReveal), mustEncode(&RevealRequest{challenge.Secret}))...))
	f.Add(append(bytes.Clone(one), slices.Concat(frameOf(byte(KindAudit), mustEncode(w.auditRequest())),
		frameOf(byte(KindReveal), mustEncode(&RevealRequest{challenge.Secret})),
		frameOf(byte(KindMend), mustEncode(&MendRequest{Purpose: PurposeRepair})))...))
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		var s *script
		var err error
		t.Frugal(uint64(1<<20+200*len(b)), func() {
			s = &script{in: bytes.NewReader(b)}
			err = Serve(context.Background(), s, &echo{})
		})
		if !s.ended || s.wasLost && err == nil {
			t.Fatalf("%v, ended %v, reset %v", err, s.ended, s.wasLost)
		}
		wholeReplies(t, &s.out)
		if err == nil {
			t.Accepted()
		}
	})
}

// wholeReplies reads replies, with the bytes that follow a Get's, up to the end.
func wholeReplies(t testing.TB, r *bytes.Buffer) {
	t.Helper()
	for r.Len() > 0 {
		status, n, err := readHeader(r)
		if err != nil || n > r.Len() {
			t.Fatalf("a reply of %d bytes, of which %d are there: %v", n, r.Len(), err)
		}
		body := bytes.Clone(r.Next(n))
		if status == statusError {
			if err := ParseMessage(body, new(refusal)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		// Only replies of these two forms have raw bytes behind them, and say
		// how many.
		if m := new(GetReply); ParseMessage(body, m) == nil && len(r.Next(int(m.Length))) != int(m.Length) {
			t.Fatalf("not all %d bytes follow", m.Length)
		}
		if m := new(RevealReply); ParseMessage(body, m) == nil && int64(len(r.Next(int(m.Size())))) != m.Size() {
			t.Fatalf("not all %d bytes of slices follow", m.Size())
		}
	}
}

// scripted opens each stream to a peer that sends the same bytes.
type scripted struct {
	pipeNet
	say []byte
}

func (n scripted) Open(context.Context, peer.ID) (Stream, error) {
	return &script{in: bytes.NewReader(n.say)}, nil
}

// FuzzReplies feeds the calling half with whatever a peer may answer.
func FuzzReplies(f *testing.F) {
	w := newWorld(f)
	seed(f, func(v vector) []byte { return frameOf(statusOK, v.input()) },
		"info reply", "form reply", "put reply", "get reply", "have reply", "members reply", "facts reply",
		"audit reply", "beat reply", "nominate reply", "enter reply", "mend reply")
	seed(f, func(v vector) []byte { return frameOf(statusError, v.input()) }, "refusal")
	f.Add(append(frameOf(statusOK, mustEncode(&GetReply{Length: 64})), generated(64)...))
	all := asks(w.putRequest(), generated(256))
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		for _, ask := range all {
			t.Frugal(uint64(1<<20+200*len(b)), func() { ask(t, NewCaller(scripted{say: b})) })
		}
	})
}

// asks makes every kind of call to a peer that may answer anything.
func asks(put *PutRequest, shard []byte) []func(testing.TB, *Caller) {
	ctx := context.Background()
	sized := func(t testing.TB, got []byte, length int64) {
		if int64(len(got)) != length {
			t.Fatalf("%d bytes, not %d", len(got), length)
		}
	}
	return []func(testing.TB, *Caller){
		func(_ testing.TB, c *Caller) { _, _ = c.Info(ctx, "them") },
		func(_ testing.TB, c *Caller) { _, _ = c.Form(ctx, "them", &FormRequest{Profile: Profile{1, 2, 3}}) },
		func(_ testing.TB, c *Caller) { _ = c.Put(ctx, "them", put, shard) },
		func(t testing.TB, c *Caller) {
			if m, got, err := c.Get(ctx, "them", &GetRequest{}, nil, 1<<10); err == nil {
				sized(t, got, m.Length)
			}
		},
		func(t testing.TB, c *Caller) {
			if m, err := c.Have(ctx, "them", &HaveRequest{Named: make([]SegmentID, 2)}); err == nil && len(m.Held) != 2 {
				t.Fatalf("%d answers", len(m.Held))
			}
		},
		func(_ testing.TB, c *Caller) { _, _ = c.Members(ctx, "them", &MembersRequest{}) },
		func(t testing.TB, c *Caller) {
			if m, err := c.Facts(ctx, "them", &FactsRequest{Offer: make([]Fact, 2)}); err == nil && len(m.Results) != 2 {
				t.Fatalf("%d results", len(m.Results))
			}
		},
		func(_ testing.TB, c *Caller) { _, _ = c.Beat(ctx, "them", &BeatRequest{}) },
		func(_ testing.TB, c *Caller) { _, _ = c.Nominate(ctx, "them", &NominateRequest{}) },
		func(_ testing.TB, c *Caller) { _ = c.Enter(ctx, "them", &EnterRequest{}) },
		func(t testing.TB, c *Caller) {
			room := func(n int64) []byte { return make([]byte, n) }
			if m, got, err := c.Mend(ctx, "them", &MendRequest{Purpose: PurposeRepair}, room, 1<<10); err == nil {
				sized(t, got, m.Length)
			}
		},
	}
}

// FuzzAudit feeds the auditor with whatever a holder may answer to both halves of a
// challenge. The result has an entry for each shard, no more bytes of slices than
// came, and takes no more memory than that.
func FuzzAudit(f *testing.F) {
	w := newWorld(f)
	nonce := frameOf(statusOK, mustEncode(&AuditReply{challenge.Nonce[:]}))
	seed(f, func(v vector) []byte { return append(bytes.Clone(nonce), frameOf(statusOK, v.input())...) }, "reveal reply")
	outboard, _ := Outboard(w.shards[2])
	slice := encoded(cutChunk(w.shards[2], outboard, 0, w.desc.Roots[2]))
	two := frameOf(statusOK, mustEncode(&RevealReply{[]Code{0, CodeNotFound}, []int{len(slice), 0}}))
	f.Add(slices.Concat(nonce, two, slice))
	f.Add(slices.Concat(nonce, two, slice[:len(slice)-1]))
	f.Add(slices.Concat(nonce, frameOf(statusOK, mustEncode(&RevealReply{[]Code{0, 0}, []int{MaxChunkSlice, MaxChunkSlice}})), slice))
	f.Add(slices.Concat(nonce, frameOf(statusError, mustEncode(&refusal{Code: CodeForged}))))
	q := w.auditRequest()
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		var a *Audited
		var err error
		t.Frugal(uint64(1<<20+64*len(b)), func() {
			a, err = NewCaller(scripted{say: b}).Audit(context.Background(), "them", q, seededReader(1))
		})
		if err != nil {
			return
		}
		t.Accepted()
		if len(a.Results) != len(q.Shards) || len(a.Slices) != len(q.Shards) {
			t.Fatalf("%d results, %d slices", len(a.Results), len(a.Slices))
		}
		for i, s := range a.Slices {
			if (s == nil) != (a.Results[i] != 0) || len(s) > len(b) {
				t.Fatalf("result %d, slice of %d bytes", a.Results[i], len(s))
			}
			if a.Check(q.Shards[i], w.desc, s) == nil && !bytes.Equal(s, slice) {
				t.Fatal("another slice passes for the shard's")
			}
		}
	})
}
