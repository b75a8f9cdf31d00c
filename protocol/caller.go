package protocol

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Caller asks peers. It keeps streams open between requests and may be used by
// many goroutines at the same time; each request has a stream to itself.
type Caller struct {
	net   Network
	heard func(peer.ID) // set before the first request
	mu    sync.Mutex
	idle  map[peer.ID][]idleStream // newest last; guarded by mu
	swept time.Time                // when old streams were last dropped from idle; guarded by mu
}

// NewCaller returns a Caller over a network.
func NewCaller(n Network) *Caller {
	return &Caller{net: n, idle: make(map[peer.ID][]idleStream)}
}

// OnAnswer sets f to be called for each request that a peer answers, even with a
// refusal. It must be called before the first request.
func (c *Caller) OnAnswer(f func(peer.ID)) { c.heard = f }

// Network returns the network through which the Caller asks.
func (c *Caller) Network() Network { return c.net }

// Close gives up all idle streams.
func (c *Caller) Close() {
	c.mu.Lock()
	idle := c.idle
	c.idle = make(map[peer.ID][]idleStream)
	c.mu.Unlock()
	for _, list := range idle {
		for _, s := range list {
			_ = s.Close()
		}
	}
}

// Info asks what a peer offers.
func (c *Caller) Info(ctx context.Context, to peer.ID) (*InfoReply, error) {
	m := new(InfoReply)
	return m, c.call(ctx, to, new(InfoRequest), m)
}

// Form asks a node to hold a slot of a new group.
func (c *Caller) Form(ctx context.Context, to peer.ID, r *FormRequest) (*FormReply, error) {
	m := new(FormReply)
	return m, c.call(ctx, to, r, m)
}

// Have compares a group's facts and segments with a member's.
func (c *Caller) Have(ctx context.Context, to peer.ID, r *HaveRequest) (*HaveReply, error) {
	m := new(HaveReply)
	if err := c.call(ctx, to, r, m); err != nil {
		return nil, err
	}
	if len(m.Held) != len(r.Named) || m.FactsDone > len(r.Facts) || m.SegmentsDone > len(r.Segments) || m.Same && len(r.Root) == 0 {
		return nil, failed(r, to, malformed("have", "it answers more or less than was asked"))
	}
	return m, nil
}

// Members asks a member which peers hold a group's slots.
func (c *Caller) Members(ctx context.Context, to peer.ID, r *MembersRequest) (*MembersReply, error) {
	m := new(MembersReply)
	return m, c.call(ctx, to, r, m)
}

// Facts offers facts to a member or asks it for some.
func (c *Caller) Facts(ctx context.Context, to peer.ID, r *FactsRequest) (*FactsReply, error) {
	m := new(FactsReply)
	if err := c.call(ctx, to, r, m); err != nil {
		return nil, err
	}
	if len(m.Results) != len(r.Offer) {
		return nil, failed(r, to, malformed("facts", "%d results for %d facts", len(m.Results), len(r.Offer)))
	}
	return m, nil
}

// Put sends a shard. nil means that the holder has it durably.
func (c *Caller) Put(ctx context.Context, to peer.ID, r *PutRequest, shard []byte) error {
	r.Length = int64(len(shard))
	return c.exchange(ctx, to, r, shard, func(s Stream) error {
		// What was written may still be on its way.
		return readReply(s, new(PutReply), r.Length)
	})
}

// Get asks for a shard or a range of one. The raw bytes (the shard, or a
// slice) are appended to dst[:0], which should have room for them; they are
// unverified. most bounds their length.
func (c *Caller) Get(ctx context.Context, to peer.ID, r *GetRequest, dst []byte, most int64) (*GetReply, []byte, error) {
	return c.GetInto(ctx, to, r, func(n int64) []byte {
		if int64(cap(dst)) < n {
			dst = make([]byte, n)
		}
		return dst
	}, func([]byte) {}, most)
}

// GetInto is Get for a caller that must save memory: room is called for n bytes
// only once the peer has announced as many, at most twice. seen is given the bytes
// as they come, run by run, to hash them while they are still in the processor's
// cache; if room is called twice, seen gets all of them again.
func (c *Caller) GetInto(ctx context.Context, to peer.ID, r *GetRequest, room func(n int64) []byte, seen func([]byte), most int64) (*GetReply, []byte, error) {
	return c.fetch(ctx, to, r, room, seen, most, most)
}

// fetch asks for a shard or a slice of at most most bytes. The peer may take as long
// to begin its reply as the transfer of patience bytes may take.
func (c *Caller) fetch(ctx context.Context, to peer.ID, r Request, room func(n int64) []byte, seen func([]byte), most, patience int64) (*GetReply, []byte, error) {
	m := new(GetReply)
	var raw []byte
	err := c.exchange(ctx, to, r, nil, func(s Stream) error {
		if err := readReply(s, m, patience); err != nil {
			return err
		}
		if m.Length > most {
			return malformed(r.Kind().String(), "%d bytes, where %d are the most", m.Length, most)
		}
		raw = room(m.Length)[:m.Length]
		return readSteps(s, raw, seen)
	})
	return m, raw, err
}

func (c *Caller) call(ctx context.Context, to peer.ID, r Request, m Message) error {
	return c.exchange(ctx, to, r, nil, func(s Stream) error { return readReply(s, m, 0) })
}

// exchange sends a request and reads its reply on an idle stream, or on a new one if
// the idle one turns out to be dead: requests are idempotent.
func (c *Caller) exchange(ctx context.Context, to peer.ID, r Request, raw []byte, read func(Stream) error) error {
	if err := r.Validate(); err != nil {
		return failed(r, to, err)
	}
	body, err := encodeMessage(r)
	if err != nil {
		return failed(r, to, err)
	}
	send := func(s Stream) error { return writeFrame(s, byte(r.Kind()), body, raw) }
	if s := c.take(to); s != nil {
		err := c.once(ctx, s, send, read)
		if err == nil || told(err) || ctx.Err() != nil {
			return failed(r, to, err)
		}
	}
	s, err := c.net.Open(ctx, to)
	if err != nil {
		return failed(r, to, err)
	}
	return failed(r, to, c.once(ctx, s, send, read))
}

// told reports whether the peer refused, rather than the stream failed.
func told(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// once runs one exchange on s, and keeps s if it is still in step.
func (c *Caller) once(ctx context.Context, s Stream, send, read func(Stream) error) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	var refused *refusedError
	err := send(s)
	whole := err == nil
	if whole {
		err = read(s)
	} else if no := read(hurried{s, time.Now().Add(lastWord)}); errors.As(no, &refused) {
		err = no // it answered before it stopped reading
	}
	if !stop() && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.heard != nil && (err == nil || errors.As(err, &refused)) {
		c.heard(s.Remote().Peer)
	}
	switch {
	case err == nil:
		c.keep(s)
	case errors.As(err, &refused) && !whole: // the peer stopped reading the request
		_ = s.Reset()
		return refused.no
	case errors.As(err, &refused):
		c.keepAfter(s, refused.no.Code)
		return refused.no
	default:
		_ = s.Reset()
	}
	return err
}

// hurried is a stream that is read no longer than until a given time.
type hurried struct {
	Stream
	until time.Time
}

func (h hurried) SetReadDeadline(t time.Time) error {
	if t.After(h.until) {
		t = h.until
	}
	return h.Stream.SetReadDeadline(t)
}

// refusedError marks a refusal that was read completely: the stream is in step.
type refusedError struct{ no *Error }

func (e *refusedError) Error() string { return e.no.Error() }
func (e *refusedError) Unwrap() error { return e.no }

// readReply reads a reply's frame into m, or the refusal in its place. raw is
// how many bytes may follow.
func readReply(s Stream, m Message, raw int64) error {
	if err := s.SetReadDeadline(time.Now().Add(TransferTime(int64(m.MaxLen()) + raw))); err != nil {
		return err
	}
	status, n, err := readHeader(s)
	if err != nil {
		return err
	}
	switch status {
	case statusOK:
		return readMessage(s, n, m)
	case statusError:
		no := new(refusal)
		if err := readMessage(s, n, no); err != nil {
			return err
		}
		return &refusedError{&Error{Code: no.Code, Text: cleanText(no.Text)}}
	}
	return malformed("reply", "status %d", status)
}

func failed(r Request, to peer.ID, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s at %s: %w", r.Kind(), ShortPeer(to), err)
}
