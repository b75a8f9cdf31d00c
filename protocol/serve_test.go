package protocol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/lab/fuzz"
)

// An unknown kind is refused with its code, and the refusal is not lost when the
// stream ends.
func TestServeUnknownKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server, ended := serving(t.Context(), new(echo))
		go func() { _, _ = c.Write(frameOf(99, make([]byte, 1000))) }()
		if err := receive(t, c, new(PutReply)); !errors.Is(err, ErrVersion) {
			t.Errorf("answer: %v", err)
		}
		_ = c.Close()
		if err := <-ended; !errors.Is(err, ErrVersion) || server.reset.Load() || !server.closed.Load() {
			t.Errorf("ended by %v; reset %v", err, server.reset.Load())
		}
	})
}

// A stream that the peer does not close after such a refusal is closed after the
// grace.
func TestServeUnknownKindLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, ended := serving(t.Context(), new(echo))
		start := time.Now()
		go func() { _, _ = c.Write(frameOf(99, nil)) }()
		_ = receive(t, c, new(PutReply))
		if <-ended; time.Since(start) != grace {
			t.Errorf("left after %v", time.Since(start))
		}
	})
}

func TestServeGiantFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for kind := KindInfo; kind <= KindFacts; kind++ {
			c, _, ended := serving(t.Context(), new(echo))
			before := fuzz.Allocated()
			go func() { _, _ = c.Write([]byte{byte(kind), 0xff, 0xff, 0xff}) }()
			if err := receive(t, c, new(PutReply)); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %v", kind, err)
			}
			if n := fuzz.Allocated() - before; n > 1<<20 {
				t.Errorf("%s: 16 MiB announced made it allocate %d bytes", kind, n)
			}
			_ = c.Close()
			<-ended
		}
	})
}

func TestServeIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server, ended := serving(t.Context(), new(echo))
		start := time.Now()
		send(t, c, &InfoRequest{}, nil)
		if err := receive(t, c, new(InfoReply)); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil || !server.reset.Load() || time.Since(start) != idleTimeout {
			t.Errorf("idle stream ended after %v by %v", time.Since(start), err)
		}
	})
}

// A body that comes below the least rate is cut off, though it is never idle for long.
func TestServeTooSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1 << 20
		c, server, ended := serving(t.Context(), new(echo))
		start := time.Now()
		send(t, c, &PutRequest{Length: size}, nil)
		for {
			if _, err := c.Write(make([]byte, 64)); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if err := <-ended; err == nil || !server.reset.Load() {
			t.Errorf("ended by %v", err)
		}
		if took := time.Since(start); took < TransferTime(size) || took > TransferTime(size)+time.Second {
			t.Errorf("cut off after %v, not %v", took, TransferTime(size))
		}
	})
}

// A frame whose body never comes is given up after its time.
func TestServeHalfFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, ended := serving(t.Context(), new(echo))
		start := time.Now()
		frame := frameOf(byte(KindGet), mustEncode(&GetRequest{}))
		_, _ = c.Write(frame[:len(frame)-1])
		if err := <-ended; err == nil || time.Since(start) > 11*time.Second {
			t.Errorf("ended after %v by %v", time.Since(start), err)
		}
	})
}

// A peer that takes nothing of a reply is given up.
func TestServeReplyNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server, ended := serving(t.Context(), &echo{shard: make([]byte, MaxShardSize)})
		start := time.Now()
		send(t, c, &GetRequest{}, nil)
		if err := <-ended; err == nil || !server.reset.Load() || time.Since(start) != stallTimeout {
			t.Errorf("ended after %v by %v", time.Since(start), err)
		}
	})
}

// A stream that ends early is no error between requests, but is one within a request.
func TestServeHalfOpen(t *testing.T) {
	put := append(frameOf(byte(KindPut), mustEncode(&PutRequest{Length: 128})), make([]byte, 127)...)
	info := frameOf(byte(KindInfo), []byte{0xa0})
	for name, c := range map[string]struct {
		sent  []byte
		clean bool
	}{
		"nothing":              {nil, true},
		"after a request":      {info, true},
		"within a header":      {info[:2], false},
		"before a body":        {info[:4], false},
		"within a body":        {frameOf(byte(KindGet), mustEncode(&GetRequest{}))[:20], false},
		"within a shard":       {put, false},
		"before a shard":       {put[:len(put)-127], false},
		"within a second head": {append(bytes.Clone(info), 1), false},
	} {
		s := &script{in: bytes.NewReader(c.sent)}
		err := Serve(t.Context(), s, new(echo))
		if (err == nil) != c.clean || s.wasLost == c.clean || !s.ended {
			t.Errorf("%s: %v, reset %v", name, err, s.wasLost)
		}
	}
}

func TestServeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, server, ended := serving(ctx, new(echo))
		synctest.Wait()
		cancel()
		if err := <-ended; err == nil || !server.reset.Load() {
			t.Errorf("ended by %v", err)
		}
	})
}

// picky refuses some puts before it has read all of their bytes.
type picky struct {
	echo
	read int64
}

func (p *picky) Put(_ context.Context, _ Remote, r *PutRequest, body io.Reader) (*PutReply, error) {
	_, err := io.CopyN(io.Discard, body, p.read)
	if r.Slot == 1 {
		return &PutReply{}, err
	}
	return nil, Refuse(CodeCapped, "read %d of %d", p.read, r.Length)
}

// However much of a shard a handler leaves unread, the next request begins after it.
func TestServeDrainsRefusedPut(t *testing.T) {
	for _, read := range []int64{0, 1, 4096, 1 << 20} {
		h := &picky{read: read}
		frame := frameOf(byte(KindPut), mustEncode(&PutRequest{Length: 1 << 20}))
		one := append(frame, bytes.Repeat([]byte{byte(KindInfo)}, 1<<20)...)
		s := &script{in: bytes.NewReader(append(append(bytes.Clone(one), one...), frameOf(byte(KindInfo), []byte{0xa0})...))}
		if err := Serve(t.Context(), s, h); err != nil {
			t.Fatalf("read %d: %v", read, err)
		}
		for range 2 {
			if err := receive(t, &s.out, new(PutReply)); !errors.Is(err, ErrCapped) {
				t.Fatalf("read %d: put: %v", read, err)
			}
		}
		if err := receive(t, &s.out, new(InfoReply)); err != nil || s.out.Len() != 0 {
			t.Fatalf("read %d: info: %v, %d bytes more", read, err, s.out.Len())
		}
	}
}

// inside fails with errors that peers must not see.
type inside struct {
	echo
	err error
}

func (h *inside) Have(context.Context, Remote, *HaveRequest) (*HaveReply, error) { return nil, h.err }

// Of an error only a code and the text written for peers are sent, never the text of
// an error that wraps it or that it wraps.
func TestRefusalTellsNothingOfInside(t *testing.T) {
	const path = "/home/alice/store"
	for _, c := range []struct {
		err  error
		code Code
		text string
	}{
		{errors.New("open " + path), CodeUnavailable, ""},
		{fmt.Errorf("put in %s: %w", path, Refuse(CodeFull, "no room")), CodeFull, "no room"},
		{errors.Join(errors.New(path), ErrCapped), CodeCapped, ""},
		{fmt.Errorf("read %s: %w", path, ErrForged), CodeForged, ""},
		{&Error{CodeFull, "a\x1b[2Jb\xff"}, CodeFull, "a?[2Jb\ufffd"},
	} {
		s := &script{in: bytes.NewReader(frameOf(byte(KindHave), mustEncode(&HaveRequest{})))}
		if err := Serve(t.Context(), s, &inside{err: c.err}); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(s.out.Bytes(), []byte("alice")) {
			t.Errorf("%v: the wire shows where it happened", c.err)
		}
		var got *Error
		if !errors.As(receive(t, &s.out, new(HaveReply)), &got) || got.Code != c.code || got.Text != c.text {
			t.Errorf("%v became %+v", c.err, got)
		}
	}
}

// A text is cut between characters, whatever its length.
func TestRefuseCutsText(t *testing.T) {
	for n := range 12 {
		e := Refuse(CodeFull, "%s", string(bytes.Repeat([]byte{'a'}, MaxErrorText-6+n))+"≤≤≤≤")
		r := &refusal{e.Code, e.Text}
		if err := ParseMessage(mustEncode(r), new(refusal)); err != nil || len(e.Text) < MaxErrorText-3 {
			t.Errorf("%d: text of %d bytes: %v", n, len(e.Text), err)
		}
	}
}
