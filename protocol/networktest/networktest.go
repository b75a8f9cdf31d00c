// Package networktest says, as tests, what every [protocol.Network] must do:
// streams, deadlines, ends, peers that are not there, the DHT. The network in
// memory and the real one run the same cases.
//
// It knows no implementation. The cases wait for events under deadlines, never
// for a time to pass, so they hold on the wall clock and in a bubble of
// testing/synctest, where they run one to a bubble (see Cases). The norm is the
// documentation of protocol.Network and protocol.Stream.
package networktest

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Member is one peer of the network under test.
type Member struct {
	protocol.Network

	// Serve sets what answers inbound streams, each in a goroutine of its own.
	Serve func(func(protocol.Stream))

	// Stop makes the member unreachable immediately and for good.
	Stop func()
}

// Start makes a network of three members that have joined and serve the DHT. b
// and c know a, as their bootstrap, and nobody else. Each answers streams somehow
// until a case says otherwise. Start cleans up by t.Cleanup.
type Start func(t *testing.T) (a, b, c Member)

// Case is one promise.
type Case struct {
	Name string
	Run  func(t *testing.T, start Start)
}

// Cases lists all promises.
func Cases() []Case {
	return []Case{
		{"identity", identity},
		{"hints", hints},
		{"envelopes", envelopes},
		{"both ways", bothWays},
		{"close delivers", closeDelivers},
		{"close ends", closeEnds},
		{"closed by reader", closedByReader},
		{"reset", reset},
		{"read deadline", readDeadline},
		{"write deadline", writeDeadline},
		{"deadline under way", deadlineUnderWay},
		{"backpressure", backpressure},
		{"many streams", manyStreams},
		{"requests in turn", requestsInTurn},
		{"unreachable", unreachable},
		{"stopped", stopped},
		{"cancelled", cancelled},
		{"announce", announce},
		{"nobody announced", nobodyAnnounced},
		{"closest", closest},
	}
}

// Test runs all cases, each as a subtest on a fresh network.
func Test(t *testing.T, start Start) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, start) })
	}
}

// patience bounds every wait of a case.
const patience = 30 * time.Second

// within returns a context that ends with the case's patience.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// introduce teaches one member the address of another.
func introduce(t *testing.T, to, other Member) {
	t.Helper()
	rec := record(t, other)
	to.Learn(rec.Info())
}

func record(t *testing.T, m Member) protocol.PeerRecord {
	t.Helper()
	e, err := m.Envelope()
	if err != nil {
		t.Fatalf("envelope: %v", err)
	}
	rec, err := e.Open()
	if err != nil {
		t.Fatalf("own envelope does not open: %v", err)
	}
	return rec
}

// open opens a stream from one member to another and writes a first byte: on some
// networks the other side learns of a stream only then. It returns both ends,
// with deadlines set.
func open(t *testing.T, from, to Member) (near, far protocol.Stream) {
	t.Helper()
	inbound := make(chan protocol.Stream, 1)
	to.Serve(func(s protocol.Stream) { inbound <- s })
	introduce(t, from, to)
	near, err := from.Open(within(t), to.Self())
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = near.Reset() })
	patient(t, near)
	write(t, near, []byte{'!'})
	select {
	case far = <-inbound:
	case <-within(t).Done():
		t.Fatal("the stream never arrived")
	}
	t.Cleanup(func() { _ = far.Reset() })
	patient(t, far)
	if b := read(t, far, 1); b[0] != '!' {
		t.Fatalf("first byte %q", b)
	}
	return near, far
}

func patient(t *testing.T, s protocol.Stream) {
	t.Helper()
	until := time.Now().Add(patience)
	if err := errors.Join(s.SetReadDeadline(until), s.SetWriteDeadline(until)); err != nil {
		t.Fatalf("set deadlines: %v", err)
	}
}

func write(t *testing.T, s protocol.Stream, b []byte) {
	t.Helper()
	if n, err := s.Write(b); err != nil || n != len(b) {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(b), err)
	}
}

func read(t *testing.T, s protocol.Stream, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(s, b); err != nil {
		t.Fatalf("read %d of %d bytes: %v", got, n, err)
	}
	return b
}

// isTimeout reports whether err says that a deadline passed, in the way of
// package net.
func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// pattern returns n bytes that differ at every offset below 2^24.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16*29)
	}
	return b
}

// until tries again every 100 ms until ok, or until the case's patience ends.
func until(t *testing.T, what string, ok func(context.Context) bool) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func contains(ids []peer.ID, id peer.ID) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}
