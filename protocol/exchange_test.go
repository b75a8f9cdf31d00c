package protocol

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"iter"
	"net"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// pipeStream is one end of net.Pipe, as a Stream.
type pipeStream struct{ net.Conn }

func (p pipeStream) Reset() error   { return p.Close() }
func (p pipeStream) Remote() Remote { return Remote{Peer: "them"} }

// pipeNet opens every stream to the same handler.
type pipeNet struct{ h Handler }

func (n pipeNet) Open(context.Context, peer.ID) (Stream, error) {
	a, b := net.Pipe()
	go func() { _ = Serve(context.Background(), pipeStream{b}, n.h) }()
	return pipeStream{a}, nil
}
func (pipeNet) Self() peer.ID                                        { return "us" }
func (pipeNet) Envelope() (Envelope, error)                          { return nil, nil }
func (pipeNet) EnvelopeOf(peer.ID) Envelope                          { return nil }
func (pipeNet) Learn(peer.AddrInfo)                                  {}
func (pipeNet) Known() []peer.ID                                     { return nil }
func (pipeNet) RemoteAddr(peer.ID) (multiaddr.Multiaddr, bool, bool) { return nil, false, false }
func (pipeNet) Closest(context.Context, Key) ([]peer.ID, error)      { return nil, nil }
func (pipeNet) Announce(...Key) error                                { return nil }
func (pipeNet) Withdraw(...Key) error                                { return nil }
func (pipeNet) Providers(context.Context, Key) iter.Seq[peer.ID]     { return nil }

// echo keeps the last shard and gives it back.
type echo struct {
	shard    []byte
	pending  *AuditRequest // the last challenge
	released int           // replies whose raw bytes were released
}

func (e *echo) Info(context.Context, Remote, *InfoRequest) (*InfoReply, error) {
	return &InfoReply{Network: "test", Version: 1, Accepts: AcceptsOpen}, nil
}
func (e *echo) Form(context.Context, Remote, *FormRequest) (*FormReply, error) {
	return nil, Refuse(CodeFull, "no room")
}
func (e *echo) Put(_ context.Context, _ Remote, r *PutRequest, body io.Reader) (*PutReply, error) {
	if r.Slot == 9 {
		return nil, Refuse(CodeWrongSlot, "not mine")
	}
	var err error
	e.shard, err = io.ReadAll(body)
	return &PutReply{}, err
}
func (e *echo) Get(context.Context, Remote, *GetRequest) (*GetReply, []byte, func(), error) {
	return &GetReply{Length: int64(len(e.shard))}, e.shard, nil, nil
}
func (e *echo) Have(context.Context, Remote, *HaveRequest) (*HaveReply, error) {
	return nil, errors.New("a secret of the inside")
}
func (e *echo) Members(context.Context, Remote, *MembersRequest) (*MembersReply, error) {
	return &MembersReply{}, nil
}
func (e *echo) Facts(_ context.Context, _ Remote, r *FactsRequest) (*FactsReply, error) {
	return &FactsReply{Results: make([]Code, len(r.Offer))}, nil
}

func TestExchange(t *testing.T) {
	ctx := t.Context()
	c := NewCaller(pipeNet{new(echo)})
	defer c.Close()
	if m, err := c.Info(ctx, "them"); err != nil || m.Network != "test" {
		t.Fatalf("info: %+v, %v", m, err)
	}
	if _, err := c.Form(ctx, "them", &FormRequest{Profile: Profile{1, 1, 1}}); !errors.Is(err, ErrFull) {
		t.Fatalf("form: %v", err)
	}
	shard := bytes.Repeat([]byte("0123456789abcdef"), MaxShardSize/16)
	if err := c.Put(ctx, "them", &PutRequest{Slot: 9}, shard); !errors.Is(err, ErrWrongSlot) {
		t.Fatalf("refused put: %v", err)
	}
	if err := c.Put(ctx, "them", &PutRequest{Slot: 1}, shard); err != nil {
		t.Fatalf("put after a refused one on the same stream: %v", err)
	}
	_, got, err := c.Get(ctx, "them", &GetRequest{Slot: AnySlot}, nil, MaxShardSize)
	if err != nil || !bytes.Equal(got, shard) {
		t.Fatalf("get: %d bytes, %v", len(got), err)
	}
	if _, err := c.Have(ctx, "them", &HaveRequest{}); !errors.Is(err, ErrUnavailable) || bytes.Contains([]byte(err.Error()), []byte("secret")) {
		t.Fatalf("have: %v", err)
	}
	if _, err := c.Facts(ctx, "them", &FactsRequest{Offer: []Fact{{Kind: FactGrant}}}); err != nil {
		t.Fatalf("facts: %v", err)
	}
}

func TestRecords(t *testing.T) {
	pub, key, _ := ed25519.GenerateKey(nil)
	rec := NewGroupRecord("test", PublicKey(pub), PublicKey(pub), Hash{}, Nonce{1})
	b, g := rec.Encode()
	r, id, err := ParseGroupRecord("test", b)
	if err != nil || id != g || *r != *rec {
		t.Fatalf("record: %+v, %v", r, err)
	}
	if _, _, err := ParseGroupRecord("other", b); !errors.Is(err, ErrNetwork) {
		t.Fatalf("record of another network: %v", err)
	}
	grant := SignGrant(key, "test", g, make([]byte, 32), 77)
	if v, err := OpenGrant(r, g, grant); err != nil || v.Bytes != 77 {
		t.Fatalf("grant: %v", err)
	}
	if _, err := OpenDelete(r, g, grant); err == nil {
		t.Fatal("a grant passed as a delete")
	}
	grant[len(grant)-1] ^= 1
	if _, err := OpenGrant(r, g, grant); !errors.Is(err, ErrDenied) {
		t.Fatalf("forged grant: %v", err)
	}
	l := Link{Pointer: PointerID{1}, Home: g.Prefix(), Read: Secret{7}}
	text, err := l.Text()
	if err != nil || len(text) != 98 {
		t.Fatalf("link %d: %v", len(text), err)
	}
	if back, err := ParseLink(text); err != nil || back.Pointer != l.Pointer || back.Read != l.Read {
		t.Fatalf("link: %v", err)
	}
	m := &Manifest{Name: "a", Extents: []Extent{{Group: g, Length: 5}}}
	mb, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParseManifest(mb); err != nil || back.Extents[0].Length != 5 {
		t.Fatalf("manifest: %v", err)
	}
	tb, err := (&Target{Extent: m.Extents[0]}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParseTarget(tb); err != nil || back.Extent.Length != 5 {
		t.Fatalf("target: %v", err)
	}
}

// relayNet opens streams through a relay until there is a direct way.
type relayNet struct {
	pipeNet
	direct bool
	opened int
}

func (n *relayNet) Open(ctx context.Context, to peer.ID) (Stream, error) {
	n.opened++
	s, err := n.pipeNet.Open(ctx, to)
	return relayStream{s, !n.direct}, err
}

func (n *relayNet) RemoteAddr(peer.ID) (multiaddr.Multiaddr, bool, bool) { return nil, !n.direct, true }

type relayStream struct {
	Stream
	relayed bool
}

func (s relayStream) Remote() Remote { return Remote{Peer: "them", Relayed: s.relayed} }

// TestIdleStreamLeavesRelay: requests move to the direct connection as soon as
// a hole is punched.
func TestIdleStreamLeavesRelay(t *testing.T) {
	n := &relayNet{pipeNet: pipeNet{new(echo)}}
	c := NewCaller(n)
	defer c.Close()
	for i, step := range []struct {
		direct bool
		opened int
	}{{false, 1}, {false, 1}, {true, 2}, {true, 2}} {
		n.direct = step.direct
		if _, err := c.Info(t.Context(), "them"); err != nil || n.opened != step.opened {
			t.Fatalf("request %d: %d streams opened, want %d, %v", i, n.opened, step.opened, err)
		}
	}
}
