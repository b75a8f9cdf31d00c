package node

import (
	"context"
	"io"
	"sync"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/gate"
	"github.com/cairnstore/cairn/node/line"
	"github.com/cairnstore/cairn/protocol"
)

// Serve answers the requests of one stream until it ends, or until Run does.
// A stream beyond the limits is reset immediately.
func (n *Node) Serve(s protocol.Stream) {
	from := s.Remote()
	leave, ok := n.letIn(from)
	if !ok {
		n.count.turnedAway.Add(1)
		_ = s.Reset()
		return
	}
	defer leave()
	v := n.newSession(s)
	defer v.over()
	if !n.visits.enter(v) {
		_ = s.Reset()
		return
	}
	defer n.visits.leave(v)
	defer v.end()
	if err := protocol.Serve(context.Background(), v, v); err != nil {
		n.log.Debug("stream ends", "peer", protocol.ShortPeer(from.Peer), "err", err)
		v.judge(err) // a request that cannot be read
	}
}

func (n *Node) letIn(from protocol.Remote) (leave func(), ok bool) {
	if n.strikes.out(from, n.now()) {
		return nil, false
	}
	return n.gate.Stream(from)
}

// session is one stream and what it has under way. As protocol.Stream it sees
// when a request's reply is out; as protocol.Handler it bounds the requests.
type session struct {
	*Node
	protocol.Stream               // line
	line            *line.Metered // the stream as it crosses the donor's line
	neighbour       bool          // it shares a group with this node

	mu       sync.Mutex
	busy     bool   // between a request's arrival and its reply's end
	replied  bool   // the handler has returned
	leave    func() // gives back the request's place, once its reply is out
	draining bool

	life    context.Context // until the session is to end
	over    context.CancelFunc
	heeding bool // the request that is being read was let through; only the reading side uses it
}

func (n *Node) newSession(s protocol.Stream) *session {
	class, neighbour := contract.Clients, n.neighbours.Knows(s.Remote().Peer)
	if neighbour {
		class = contract.Repair
	}
	m := n.deal.line.Over(s, class)
	v := &session{Node: n, Stream: m, line: m, neighbour: neighbour}
	v.life, v.over = context.WithCancel(context.Background())
	return v
}

var (
	_ protocol.Stream  = (*session)(nil)
	_ protocol.Handler = (*session)(nil)
	_ protocol.Keeper  = (*session)(nil)

	errStopping = protocol.Refuse(protocol.CodeUnavailable, "this node is stopping")
)

// Read reads from the stream. Reading on after a reply means that the reply is
// out; a node that stops reads no further request. A request of a peer that is
// doubted waits after its first bytes.
func (v *session) Read(b []byte) (int, error) {
	if v.rest() {
		return 0, io.EOF
	}
	n, err := v.Stream.Read(b)
	if err == nil && !v.heeding {
		v.heeding = true
		err = v.listen()
	}
	return n, err
}

// rest notes the end of a reply and reports whether the session is over.
func (v *session) rest() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.replied {
		v.busy, v.replied, v.heeding = false, false, false
		v.free()
	}
	return v.draining && !v.busy
}

// free gives back the place of a request. mu is held.
func (v *session) free() {
	if v.leave != nil {
		v.leave()
		v.leave = nil
	}
}

// end gives back what the session's last request had.
func (v *session) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.free()
}

// drain ends the session: immediately if nothing is under way, else after that.
func (v *session) drain() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.draining = true
	if !v.busy {
		v.over()
		_ = v.Reset()
	}
}

// begin counts a request in; end says that its handler is done.
func (v *session) begin(k protocol.Kind) (end func(), err error) {
	v.line.Class = line.ClassOf(k, v.neighbour)
	v.mu.Lock()
	v.busy = true
	stopping := v.draining
	v.mu.Unlock()
	v.underWay.Add(1)
	done := func() {
		v.underWay.Add(-1)
		v.mu.Lock()
		defer v.mu.Unlock()
		v.replied = true
	}
	if stopping {
		done()
		return nil, errStopping
	}
	from := v.Remote()
	v.donors.Spoke(from.Peer, from.Addr, v.now())
	v.neighbours.Spoke(from.Peer)
	return done, nil
}

// under runs one handler within the session's bounds. The place that it takes
// is given back when its reply is out: replies that nobody reads take memory.
func under[Q protocol.Request, A any](ctx context.Context, v *session, from protocol.Remote, q Q, do func(context.Context, protocol.Remote, Q) (A, error)) (A, error) {
	var none A
	end, err := v.begin(q.Kind())
	if err != nil {
		return none, err
	}
	defer end()
	leave, err := v.gate.Request(ctx, from)
	if err != nil {
		return none, err
	}
	v.mu.Lock()
	v.leave = leave
	v.mu.Unlock()
	if err := v.heard(from); err != nil { // it lied while this one waited
		v.cut()
		return none, err
	}
	begun := v.now()
	a, err := do(gate.WithCut(ctx, v.cut), from, q)
	v.answered(q.Kind(), err, v.now().Sub(begun))
	v.judge(err)
	v.line.Refused(err)
	return a, err
}

// underRaw is under for a handler whose reply has bytes behind it.
func underRaw[Q protocol.Request, A any](ctx context.Context, v *session, from protocol.Remote, q Q,
	do func(context.Context, protocol.Remote, Q) (A, []byte, func(), error),
) (reply A, raw []byte, release func(), err error) {
	reply, err = under(ctx, v, from, q, func(ctx context.Context, from protocol.Remote, q Q) (a A, err error) {
		a, raw, release, err = do(ctx, from, q)
		return a, err
	})
	return reply, raw, release, err
}

func (v *session) cut() { _ = v.Reset() }

// Keep takes memory for a long request that is on its way.
func (v *session) Keep(ctx context.Context, from protocol.Remote, n int) (release func(), err error) {
	if err := v.heard(from); err != nil {
		v.cut()
		return nil, err
	}
	return v.gate.Body(gate.WithCut(ctx, v.cut), from, int64(n))
}

// Info is Node.Info within the session's bounds.
func (v *session) Info(ctx context.Context, from protocol.Remote, r *protocol.InfoRequest) (*protocol.InfoReply, error) {
	return under(ctx, v, from, r, v.Node.Info)
}

// Form is Node.Form within the session's bounds.
func (v *session) Form(ctx context.Context, from protocol.Remote, r *protocol.FormRequest) (*protocol.FormReply, error) {
	return under(ctx, v, from, r, v.Node.Form)
}

// Put is Node.Put within the session's bounds. It takes no request's place: it
// lasts as long as its peer likes to send, and Node.Put bounds its memory.
func (v *session) Put(ctx context.Context, from protocol.Remote, r *protocol.PutRequest, body io.Reader) (*protocol.PutReply, error) {
	end, err := v.begin(r.Kind())
	if err != nil {
		return nil, err
	}
	defer end()
	if err := v.heard(from); err != nil {
		v.cut()
		return nil, err
	}
	begun := v.now()
	reply, err := v.Node.Put(line.With(gate.WithCut(ctx, v.cut), v.line), from, r, body)
	v.answered(r.Kind(), err, v.now().Sub(begun))
	v.judge(err)
	return reply, err
}

// Get is Node.Get within the session's bounds.
func (v *session) Get(ctx context.Context, from protocol.Remote, r *protocol.GetRequest) (*protocol.GetReply, []byte, func(), error) {
	return underRaw(ctx, v, from, r, v.Node.Get)
}

// Have is Node.Have within the session's bounds.
func (v *session) Have(ctx context.Context, from protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	return under(ctx, v, from, r, v.Node.Have)
}

// Members is Node.Members within the session's bounds.
func (v *session) Members(ctx context.Context, from protocol.Remote, r *protocol.MembersRequest) (*protocol.MembersReply, error) {
	return under(ctx, v, from, r, v.Node.Members)
}

// Facts is Node.Facts within the session's bounds.
func (v *session) Facts(ctx context.Context, from protocol.Remote, r *protocol.FactsRequest) (*protocol.FactsReply, error) {
	return under(ctx, v, from, r, v.Node.Facts)
}
