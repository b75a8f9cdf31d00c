package protocol

import (
	"context"
	"errors"
	"io"
	"time"
)

// Handler answers requests. Every request that it gets has passed Validate. An error
// that is not an *Error is sent as CodeUnavailable, without its text.
type Handler interface {
	Info(context.Context, Remote, *InfoRequest) (*InfoReply, error)
	Form(context.Context, Remote, *FormRequest) (*FormReply, error)
	// Put reads the shard's Length bytes from body, unless it refuses before:
	// then Serve reads and drops them, except after an error made by Unread.
	Put(ctx context.Context, from Remote, r *PutRequest, body io.Reader) (*PutReply, error)
	// Get returns the raw bytes that follow its reply; Serve calls release,
	// if not nil, once they are sent.
	Get(context.Context, Remote, *GetRequest) (reply *GetReply, raw []byte, release func(), err error)
	Have(context.Context, Remote, *HaveRequest) (*HaveReply, error)
	Members(context.Context, Remote, *MembersRequest) (*MembersReply, error)
	Facts(context.Context, Remote, *FactsRequest) (*FactsReply, error)
	Audit(context.Context, Remote, *AuditRequest) (*AuditReply, error)
	// Reveal returns in raw the slices that follow its reply, one after another; its
	// Lengths must add up to the length of raw. Serve calls release as after Get.
	Reveal(context.Context, Remote, *RevealRequest) (reply *RevealReply, raw []byte, release func(), err error)
	Beat(context.Context, Remote, *BeatRequest) (*BeatReply, error)
	Nominate(context.Context, Remote, *NominateRequest) (*NominateReply, error)
	Enter(context.Context, Remote, *EnterRequest) (*EnterReply, error)
	// Mend returns a whole shard as Get does.
	Mend(context.Context, Remote, *MendRequest) (reply *GetReply, raw []byte, release func(), err error)
}

// Keeper is a Handler that bounds the memory of requests that are still being read.
type Keeper interface {
	// Keep waits until a request of n bytes may be held in memory, or refuses. It
	// is called for those above 16 KiB. Serve calls release once the reply is sent.
	Keep(ctx context.Context, from Remote, n int) (release func(), err error)
}

// Serve answers the requests of one stream, one after another, until the peer
// closes it, breaks the specification, is idle for two minutes or falls below the
// least rate. It always ends the stream.
func Serve(ctx context.Context, s Stream, h Handler) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	for {
		err := serveOne(ctx, s, h)
		var lost *outOfStepError
		switch {
		case err == nil:
			continue
		case errors.Is(err, errStreamEnd):
			return s.Close()
		case errors.As(err, &lost):
			if !lost.unread {
				linger(s)
			}
			_ = s.Close()
			return lost.no
		default:
			_ = s.Reset()
			return err
		}
	}
}

// errStreamEnd says that the peer closed the stream between two requests.
var errStreamEnd = errors.New("stream ended")

// outOfStepError marks a refusal that was sent while it is unknown how many
// bytes of the request are still to come: it is the stream's last.
type outOfStepError struct {
	no     error
	unread bool // the rest of the request is not read either
}

func (e *outOfStepError) Error() string { return e.no.Error() }

// refuseAndEnd tells the peer why its request cannot be read.
func refuseAndEnd(s Stream, no error) error {
	if err := reply(s, no, nil, nil); err != nil {
		return err
	}
	return &outOfStepError{no: no}
}

// linger reads on for a while until the peer, which may still be sending, has seen
// the refusal and closed the stream: if the stream were ended immediately, the
// refusal could be lost.
func linger(s Stream) {
	if s.SetReadDeadline(time.Now().Add(grace)) == nil {
		_, _ = io.CopyN(io.Discard, s, maxLinger)
	}
}

// serveOne answers one request. It returns errStreamEnd where the stream ended
// between two requests.
func serveOne(ctx context.Context, s Stream, h Handler) error {
	if err := s.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
		return err
	}
	first, n, err := readHeader(s)
	if errors.Is(err, io.EOF) { // not ErrUnexpectedEOF: nothing of a header came
		return errStreamEnd
	}
	if err != nil {
		return err
	}
	req := newRequest(Kind(first))
	if req == nil {
		return refuseAndEnd(s, Refuse(CodeVersion, "message of kind %d", first))
	}
	if k, ok := h.(Keeper); ok && n > maxSmall && n <= req.MaxLen() {
		release, err := k.Keep(ctx, s.Remote(), n)
		if err != nil {
			return refuseAndEnd(s, err)
		}
		defer release()
	}
	if err := s.SetReadDeadline(time.Now().Add(TransferTime(int64(n)))); err != nil {
		return err
	}
	switch err := readMessage(s, n, req); {
	case told(err):
		return refuseAndEnd(s, err)
	case err != nil:
		return err
	}
	return answer(ctx, s, h, req)
}

func answer(ctx context.Context, s Stream, h Handler, req Request) error {
	switch r := req.(type) {
	case *PutRequest:
		return answerPut(ctx, s, h, r)
	case *GetRequest:
		m, raw, release, err := h.Get(ctx, s.Remote(), r)
		return replyShard(s, err, m, raw, release)
	case *MendRequest:
		m, raw, release, err := h.Mend(ctx, s.Remote(), r)
		return replyShard(s, err, m, raw, release)
	case *RevealRequest:
		m, raw, release, err := h.Reveal(ctx, s.Remote(), r)
		if err == nil && m.Size() != int64(len(raw)) {
			err = errOutOfStep
		}
		return replyRaw(s, err, m, raw, release)
	}
	m, err := answerPlain(ctx, s.Remote(), h, req)
	return reply(s, err, m, nil)
}

// answerPlain answers what has no raw bytes on either side.
func answerPlain(ctx context.Context, from Remote, h Handler, req Request) (m Message, err error) {
	switch r := req.(type) {
	case *InfoRequest:
		m, err = h.Info(ctx, from, r)
	case *FormRequest:
		m, err = h.Form(ctx, from, r)
	case *HaveRequest:
		m, err = h.Have(ctx, from, r)
	case *MembersRequest:
		m, err = h.Members(ctx, from, r)
	case *FactsRequest:
		m, err = h.Facts(ctx, from, r)
	case *AuditRequest:
		m, err = h.Audit(ctx, from, r)
	case *BeatRequest:
		m, err = h.Beat(ctx, from, r)
	case *NominateRequest:
		m, err = h.Nominate(ctx, from, r)
	case *EnterRequest:
		m, err = h.Enter(ctx, from, r)
	}
	return m, err
}

// errOutOfStep replaces a handler's reply that announces more or fewer bytes than
// follow it.
var errOutOfStep = errors.New("reply and raw bytes differ in length")

// replyShard sends a shard or a slice behind its reply.
func replyShard(s Stream, err error, m *GetReply, raw []byte, release func()) error {
	if err == nil {
		m.Length = int64(len(raw)) // otherwise the stream would get out of step
	}
	return replyRaw(s, err, m, raw, release)
}

// replyRaw sends a reply with bytes behind it, and releases these.
func replyRaw(s Stream, err error, m Message, raw []byte, release func()) error {
	if release != nil {
		defer release()
	}
	return reply(s, err, m, raw)
}

// unreadError marks a refusal of a Put whose bytes are not to be read.
type unreadError struct{ error }

func (e *unreadError) Unwrap() error { return e.error }

// Unread marks the refusal of a Put by a Handler whose traffic is limited: Serve
// answers immediately, reads nothing more of the shard and ends the stream. The
// asking side sees the refusal when it gives up writing. nil stays nil.
func Unread(err error) error {
	if err == nil {
		return nil
	}
	return &unreadError{err}
}

// answerPut gives the body to the Handler and drops what a refusal left of it, so
// that the next request begins where the peer thinks it does.
func answerPut(ctx context.Context, s Stream, h Handler, r *PutRequest) error {
	if err := s.SetReadDeadline(time.Now().Add(TransferTime(r.Length))); err != nil {
		return err
	}
	body := &io.LimitedReader{R: s, N: r.Length}
	m, err := h.Put(ctx, s.Remote(), r, body)
	var spared *unreadError
	if body.N > 0 && errors.As(err, &spared) {
		if err := reply(s, err, nil, nil); err != nil {
			return err
		}
		return &outOfStepError{err, true}
	}
	if body.N > 0 {
		if _, drain := io.Copy(io.Discard, body); drain != nil || body.N > 0 {
			return errors.Join(err, drain, io.ErrUnexpectedEOF)
		}
	}
	return reply(s, err, m, nil)
}

func reply(s Stream, err error, m Message, raw []byte) error {
	if err == nil {
		return writeMessage(s, statusOK, m, raw)
	}
	r := &refusal{Code: CodeOf(err)}
	var no *Error
	if errors.As(err, &no) {
		r.Text = cleanText(no.Text)
	}
	return writeMessage(s, statusError, r, nil)
}
