package protocol

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/lab/fuzz"
)

// serveAll serves every stream as a peer does; serveN serves n requests of each.
func serveAll(h Handler) func(int, Stream) {
	return func(_ int, s Stream) { _ = Serve(context.Background(), s, h) }
}

// A stream that the peer has given up meanwhile costs a retry, and is no error.
func TestCallerRetriesStaleStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(echo)
		net := &dialled{next: func(n int, s Stream) {
			_ = serveOne(context.Background(), s, h)
			if n == 0 {
				_ = s.Reset() // while the caller keeps its end
				return
			}
			serveAll(h)(n, s)
		}}
		c := NewCaller(net)
		defer c.Close()
		shard := generated(128)
		for i := range 3 {
			if err := c.Put(t.Context(), "them", &PutRequest{}, shard); err != nil {
				t.Fatalf("put %d: %v", i, err)
			}
			synctest.Wait()
		}
		if net.opened() != 2 || !bytes.Equal(h.shard, shard) {
			t.Errorf("%d streams", net.opened())
		}
	})
}

// A peer that is gone is asked on one fresh stream, not on more and more.
func TestCallerRetriesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &dialled{next: func(n int, s Stream) {
			if n == 0 {
				_ = serveOne(context.Background(), s, new(echo))
			}
			_ = s.Reset()
		}}
		c := NewCaller(net)
		if _, err := c.Info(t.Context(), "them"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Info(t.Context(), "them"); err == nil || net.opened() != 2 {
			t.Errorf("%v after %d streams", err, net.opened())
		}
	})
}

// A cancelled request ends its stream immediately, whichever half is under way.
func TestCallerCancelled(t *testing.T) {
	for name, next := range map[string]func(int, Stream){
		"writing": func(int, Stream) {},
		"reading": func(_ int, s Stream) { _, _ = io.Copy(io.Discard, s) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := &dialled{next: next}
				c := NewCaller(net)
				ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errImpatient)
				defer cancel()
				start := time.Now()
				err := c.Put(ctx, "them", &PutRequest{}, make([]byte, MaxShardSize))
				if !errors.Is(err, errImpatient) || time.Since(start) != 3*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if synctest.Wait(); !net.streams[0].reset.Load() || len(c.idle) != 0 {
					t.Error("the stream is kept")
				}
			})
		})
	}
}

var errImpatient = errors.New("no patience")

// A peer that takes nothing is given up after stallTimeout, and its reply is then
// awaited for lastWord only.
func TestCallerStalledPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCaller(&dialled{next: func(int, Stream) {}})
		start := time.Now()
		err := c.Put(t.Context(), "them", &PutRequest{}, make([]byte, MaxShardSize))
		if took := time.Since(start); err == nil || took != stallTimeout+lastWord {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// After a refusal with which the peer may end the stream it is closed; after any
// other it is used again.
func TestCallerAfterRefusal(t *testing.T) {
	for code, kept := range map[Code]bool{CodeFull: true, CodeDenied: true, CodeMalformed: false, CodeVersion: false} {
		synctest.Test(t, func(t *testing.T) {
			net := &dialled{next: serveAll(&inside{err: Refuse(code, "no")})}
			c := NewCaller(net)
			defer c.Close()
			for range 2 {
				if _, err := c.Have(t.Context(), "them", &HaveRequest{}); !errors.Is(err, &Error{Code: code}) {
					t.Errorf("%s: %v", code, err)
				}
			}
			if (net.opened() == 1) != kept || net.streams[0].closed.Load() == kept {
				t.Errorf("%s: %d streams", code, net.opened())
			}
		})
	}
}

// Streams to peers that are no longer asked are closed after a while.
func TestCallerSweepsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &dialled{next: serveAll(new(echo))}
		c := NewCaller(net)
		defer c.Close()
		for range 3 {
			if _, err := c.Info(t.Context(), "them"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(idleLife + time.Second)
		}
		synctest.Wait()
		if !net.streams[0].closed.Load() || !net.streams[1].closed.Load() || net.opened() != 3 {
			t.Errorf("%d streams, of which the first ones are still open", net.opened())
		}
		if _, err := c.Info(t.Context(), "them"); err != nil || len(c.idle["them"]) != 1 {
			t.Errorf("%d idle, %v", len(c.idle["them"]), err)
		}
	})
}

// A request that breaks the specification is refused here and is not sent.
func TestCallerChecksItself(t *testing.T) {
	net := &dialled{next: serveAll(new(echo))}
	c := NewCaller(net)
	big := make([]Fact, 40)
	for i := range big {
		big[i] = Fact{Kind: FactGrant, Bytes: make([]byte, MaxFact)}
	}
	_, facts := c.Facts(t.Context(), "them", &FactsRequest{Offer: big})
	_, _, get := c.Get(t.Context(), "them", &GetRequest{Slot: MaxShards}, nil, 1)
	put := c.Put(t.Context(), "them", &PutRequest{}, make([]byte, 65))
	if !errors.Is(facts, ErrMalformed) || !errors.Is(get, ErrMalformed) || !errors.Is(put, ErrMalformed) || net.opened() != 0 {
		t.Errorf("%v, %v, %v, %d streams", facts, get, put, net.opened())
	}
}

// answering sends the same bytes in reply to every request.
func answering(b []byte) func(int, Stream) {
	return func(_ int, s Stream) {
		go func() { _, _ = io.Copy(io.Discard, s) }()
		_, _ = s.Write(b)
		_ = s.Close()
	}
}

// Replies that no honest peer gives are errors, whatever they say of their
// length, and cost no memory.
func TestCallerBadReplies(t *testing.T) {
	get := func(c *Caller) error {
		_, _, err := c.Get(t.Context(), "them", &GetRequest{}, nil, 1<<10)
		return err
	}
	have := func(c *Caller) error {
		_, err := c.Have(t.Context(), "them", &HaveRequest{Named: make([]SegmentID, 2)})
		return err
	}
	facts := func(c *Caller) error {
		_, err := c.Facts(t.Context(), "them", &FactsRequest{Offer: make([]Fact, 2)})
		return err
	}
	ok := func(m Message, raw ...byte) []byte { return append(frameOf(statusOK, mustEncode(m)), raw...) }
	for name, c := range map[string]struct {
		reply []byte
		ask   func(*Caller) error
	}{
		"nothing":               {nil, get},
		"half a header":         {[]byte{0, 0}, get},
		"status 2":              {frameOf(2, mustEncode(&GetReply{})), get},
		"giant":                 {[]byte{0, 0xff, 0xff, 0xff}, get},
		"giant refusal":         {[]byte{1, 0xff, 0xff, 0xff}, get},
		"refusal of code 0":     {frameOf(1, mustEncode(&refusal{})), get},
		"more than asked for":   {ok(&GetReply{Length: 1<<10 + 1}), get},
		"less than announced":   {ok(&GetReply{Length: 3}, 1, 2), get},
		"another message":       {ok(&PutReply{}), get},
		"one answer for two":    {ok(&HaveReply{Held: []bool{true}}), have},
		"the same as nothing":   {ok(&HaveReply{Held: []bool{true, true}, Same: true}), have},
		"the same, and digests": {ok(&HaveReply{Held: []bool{true, true}, Same: true, FactDigests: make([]byte, Buckets*32)}), have},
		"a bucket not asked":    {ok(&HaveReply{Held: []bool{true, true}, FactsDone: 1}), have},
		"one result for two":    {ok(&FactsReply{Results: []Code{0}}), facts},
		"three results for two": {ok(&FactsReply{Results: make([]Code, 3)}), facts},
	} {
		net := &dialled{next: answering(c.reply)}
		caller := NewCaller(net)
		before := fuzz.Allocated()
		if err := c.ask(caller); err == nil || !strings.Contains(err.Error(), ShortPeer("them")) {
			t.Errorf("%s: %v", name, err)
		}
		if n := fuzz.Allocated() - before; n > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}
