package networktest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

const megabyte = 1 << 20

func identity(t *testing.T, start Start) {
	a, b, _ := start(t)
	if rec := record(t, a); rec.Peer != a.Self() || len(rec.Addrs) == 0 {
		t.Fatalf("record of %s: %+v", a.Self(), rec)
	}
	near, far := open(t, b, a)
	if near.Remote().Peer != a.Self() || far.Remote().Peer != b.Self() {
		t.Fatalf("ends are with %s and %s", near.Remote().Peer, far.Remote().Peer)
	}
	addr, relayed, ok := b.RemoteAddr(a.Self())
	if !ok || relayed || addr == nil {
		t.Fatalf("connected: %v, relayed: %v, at %v", ok, relayed, addr)
	}
	if known := b.Known(); len(known) == 0 || known[0] != a.Self() {
		t.Fatalf("spoken to last: not the first of %v", known)
	}
	until(t, "the dialled side knows who dialled, which tells it that it serves", func(context.Context) bool { return contains(a.Known(), b.Self()) })
}

// hints: a peer is reachable by what Learn was told, and not before.
func hints(t *testing.T, start Start) {
	_, b, c := start(t)
	near, far := open(t, b, c)
	write(t, near, []byte("by hint"))
	if got := read(t, far, 7); string(got) != "by hint" {
		t.Fatalf("%q", got)
	}
}

func bothWays(t *testing.T, start Start) {
	a, b, _ := start(t)
	near, far := open(t, b, a)
	sent := pattern(4 * megabyte)
	var wg sync.WaitGroup
	for _, s := range []protocol.Stream{near, far} {
		wg.Go(func() {
			if _, err := s.Write(sent); err != nil {
				t.Errorf("write: %v", err)
			}
		})
		wg.Go(func() {
			got := make([]byte, len(sent))
			if n, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes read, right: %v, %v", n, bytes.Equal(got, sent), err)
			}
		})
	}
	wg.Wait()
}

// closeDelivers: what was written before Close arrives, however late it is
// read, and then the end.
func closeDelivers(t *testing.T, start Start) {
	a, b, _ := start(t)
	near, far := open(t, b, a)
	sent := pattern(megabyte)
	done := make(chan error, 1)
	go func() {
		_, err := near.Write(sent)
		done <- errors.Join(err, near.Close())
	}()
	got, err := io.ReadAll(far)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d of %d bytes before the end: %v", len(got), len(sent), err)
	}
	if err := <-done; err != nil {
		t.Fatalf("write and close: %v", err)
	}
}

// closeEnds: after Close this end is of no use, and closing again does no harm.
func closeEnds(t *testing.T, start Start) {
	a, b, _ := start(t)
	near, far := open(t, b, a)
	if err := errors.Join(near.Close(), near.Close()); err != nil {
		t.Fatalf("close: %v", err)
	}
	if _, err := near.Write([]byte("x")); err == nil {
		t.Error("wrote on a closed stream")
	}
	if n, err := near.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("read from a closed stream")
	}
	if n, err := far.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the other side sees %d bytes, %v", n, err)
	}
}

// closedByReader: after the reader closed, a write fails, or is lost, or blocks;
// libp2p's transports do each of these. It never blocks beyond its deadline.
func closedByReader(t *testing.T, start Start) {
	a, b, _ := start(t)
	near, far := open(t, b, a)
	if err := far.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("end of stream: %v", err)
	}
	if err := near.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := near.Write(pattern(64 * megabyte))
		done <- err
	}()
	select {
	case <-done:
	case <-within(t).Done():
		t.Fatal("the writer waits for ever")
	}
}

func reset(t *testing.T, start Start) {
	a, b, _ := start(t)
	near, far := open(t, b, a)
	if err := near.Reset(); err != nil {
		t.Fatalf("reset: %v", err)
	}
	_, err := far.Read(make([]byte, 1))
	if err == nil || errors.Is(err, io.EOF) || isTimeout(err) {
		t.Fatalf("a reset reads as %v", err)
	}
	if _, err := far.Write([]byte("x")); err == nil {
		t.Error("wrote on a reset stream")
	}
	if _, err := near.Write([]byte("x")); err == nil {
		t.Error("wrote on a stream reset by oneself")
	}
	_, _ = near.Close(), near.Reset() // they may fail, but must return
}

// readDeadline: a read past its deadline is a timeout, and with a later deadline
// the stream works again.
func readDeadline(t *testing.T, start Start) {
	a, b, _ := start(t)
	near, far := open(t, b, a)
	if err := far.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := far.Read(make([]byte, 1)); n != 0 || !isTimeout(err) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	patient(t, far)
	write(t, near, []byte("late"))
	if got := read(t, far, 4); string(got) != "late" {
		t.Fatalf("after the deadline: %q", got)
	}
}

// writeDeadline: nobody reads, so writing ends at the deadline, having written
// a part that really arrives.
func writeDeadline(t *testing.T, start Start) {
	a, b, _ := start(t)
	near, far := open(t, b, a)
	if err := near.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	sent := pattern(64 * megabyte)
	n, err := near.Write(sent)
	if !isTimeout(err) || n >= len(sent) {
		t.Fatalf("%d of %d bytes: %v", n, len(sent), err)
	}
	if got := read(t, far, n); !bytes.Equal(got, sent[:n]) {
		t.Fatal("other bytes than those that counted as written")
	}
}

// deadlineUnderWay: a deadline also ends a read that is waiting already.
func deadlineUnderWay(t *testing.T, start Start) {
	a, b, _ := start(t)
	_, far := open(t, b, a)
	failed := make(chan error, 1)
	go func() {
		_, err := far.Read(make([]byte, 1))
		failed <- err
	}()
	if err := far.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		if !isTimeout(err) {
			t.Fatalf("read ended with %v", err)
		}
	case <-within(t).Done():
		t.Fatal("the read waits on")
	}
}

// backpressure: a slow reader holds the writer back and loses nothing.
func backpressure(t *testing.T, start Start) {
	a, b, _ := start(t)
	near, far := open(t, b, a)
	sent := pattern(2 * megabyte)
	done := make(chan error, 1)
	go func() {
		_, err := near.Write(sent)
		done <- err
	}()
	for off := 0; off < len(sent); off += 4096 {
		if got := read(t, far, 4096); !bytes.Equal(got, sent[off:off+4096]) {
			t.Fatalf("other bytes at %d", off)
		}
	}
	if err := <-done; err != nil {
		t.Fatalf("write: %v", err)
	}
}

// manyStreams: streams to one peer do not hinder one another, even where one
// of them is not read.
func manyStreams(t *testing.T, start Start) {
	a, b, _ := start(t)
	a.Serve(echo)
	introduce(t, b, a)
	ctx := within(t)
	stuck, err := b.Open(ctx, a.Self())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stuck.Reset() }()
	patient(t, stuck)
	write(t, stuck, pattern(100_000))
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if err := talk(ctx, b, a, pattern(1000*i+1)); err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// echo gives back what it reads and ends the stream when its peer does.
func echo(s protocol.Stream) {
	_ = errors.Join(s.SetReadDeadline(time.Now().Add(patience)), s.SetWriteDeadline(time.Now().Add(patience)))
	if _, err := io.Copy(struct{ io.Writer }{s}, s); err != nil {
		_ = s.Reset()
		return
	}
	_ = s.Close()
}

func talk(ctx context.Context, from, to Member, b []byte) error {
	s, err := from.Open(ctx, to.Self())
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	limit := time.Now().Add(patience)
	if err := errors.Join(s.SetReadDeadline(limit), s.SetWriteDeadline(limit)); err != nil {
		return err
	}
	if _, err := s.Write(b); err != nil {
		return err
	}
	got := make([]byte, len(b))
	if _, err := io.ReadFull(s, got); err != nil {
		return err
	}
	if !bytes.Equal(got, b) {
		return errors.New("other bytes came back")
	}
	return nil
}

// requestsInTurn: one stream carries any number of exchanges.
func requestsInTurn(t *testing.T, start Start) {
	a, b, _ := start(t)
	near, far := open(t, b, a)
	for i := range 100 {
		b := pattern(10*i + 1)
		write(t, near, b)
		write(t, far, read(t, far, len(b)))
		if !bytes.Equal(read(t, near, len(b)), b) {
			t.Fatalf("exchange %d differs", i)
		}
	}
}
