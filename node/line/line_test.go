package line

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/protocol"
)

// wire is a stream that takes and gives bytes at any rate.
type wire struct {
	protocol.Stream
	sent            atomic.Int64
	readBy, writeBy atomic.Int64  // deadlines, in nanoseconds
	idle            time.Duration // that each write takes
}

func (w *wire) Read(b []byte) (int, error) { return len(b), nil }
func (w *wire) Write(b []byte) (int, error) {
	time.Sleep(w.idle)
	w.sent.Add(int64(len(b)))
	return len(b), nil
}
func (w *wire) SetReadDeadline(t time.Time) error  { w.readBy.Store(t.UnixNano()); return nil }
func (w *wire) SetWriteDeadline(t time.Time) error { w.writeBy.Store(t.UnixNano()); return nil }
func (w *wire) Reset() error                       { return nil }
func (w *wire) Close() error                       { return nil }

// flow keeps streams of a class busy until they are reset.
type flow struct {
	wires   []*wire
	streams []*Metered
	done    sync.WaitGroup
}

func (l *Line) flow(c contract.Class, streams int) *flow {
	f := new(flow)
	for range streams {
		w := new(wire)
		m := l.Over(w, c)
		f.wires, f.streams = append(f.wires, w), append(f.streams, m)
		f.done.Go(func() {
			for err := error(nil); err == nil; {
				_, err = m.Write(make([]byte, 100_000))
			}
		})
	}
	return f
}

func (f *flow) sent() (sum int64) {
	for _, w := range f.wires {
		sum += w.sent.Load()
	}
	return sum
}

func (f *flow) stop() {
	for _, m := range f.streams {
		_ = m.Reset()
	}
	f.done.Wait()
}

// TestLineShares measures both classes over hours of virtual time: a class has all of
// the rate while it is alone, else half; together they never have more than the rate.
func TestLineShares(t *testing.T) {
	for _, up := range []int64{contract.LeastRate, 500e3, 5e6} {
		synctest.Test(t, func(t *testing.T) {
			l := New(contract.Terms{Up: up})
			const span = time.Minute
			carries := float64(up) * span.Seconds()
			phase := func(what string, flows []*flow, share ...float64) {
				t.Helper()
				time.Sleep(10 * time.Second) // what was promised before has gone
				var before []int64
				for _, f := range flows {
					before = append(before, f.sent())
				}
				time.Sleep(span)
				for i, f := range flows {
					got := float64(f.sent()-before[i]) / carries
					if got < share[i]*0.9 || got > share[i]*1.1+0.1/span.Seconds() {
						t.Errorf("%s at %d B/s: %v has %.2f of the line, want %.2f", what, up, f.streams[0].Class, got, share[i])
					}
				}
			}
			clients := l.flow(contract.Clients, 8)
			phase("clients alone", []*flow{clients}, 1)
			repair := l.flow(contract.Repair, 1)
			phase("both", []*flow{clients, repair}, 0.5, 0.5)
			clients.stop()
			phase("repair alone", []*flow{repair}, 1)
			repair.stop()
			if total := l.spent[contract.Clients].up.Load() + l.spent[contract.Repair].up.Load(); total != clients.sent()+repair.sent() {
				t.Errorf("%d bytes are counted, %d crossed", total, clients.sent()+repair.sent())
			}
		})
	}
}

// A deadline bounds the peer, not the donor's limits.
func TestLineDoesNotBlameThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(contract.Terms{Up: contract.LeastRate, Down: contract.LeastRate})
		w := &wire{idle: time.Millisecond}
		m := l.Over(w, contract.Clients)
		_ = m.SetWriteDeadline(time.Now().Add(time.Second))
		_ = m.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := m.Write(make([]byte, 4<<20)); err != nil {
			t.Fatal(err)
		}
		// The peer took 256 ms of it; the rest is ours.
		for what, by := range map[string]int64{"write": w.writeBy.Load(), "read": w.readBy.Load()} {
			if left := time.Until(time.Unix(0, by)); left < 700*time.Millisecond || left > 800*time.Millisecond {
				t.Errorf("the %s deadline leaves the peer %v", what, left)
			}
		}
		if _, err := io.CopyN(io.Discard, m, 1<<20); err != nil {
			t.Fatal(err)
		}
		if left := time.Until(time.Unix(0, w.readBy.Load())); left < 700*time.Millisecond {
			t.Errorf("after reading it leaves %v", left)
		}
		// A call that waits for the line is woken by a reset.
		go func() { time.Sleep(time.Second); _ = m.Reset() }()
		if _, err := m.Write(make([]byte, 4<<20)); !errors.Is(err, context.Canceled) {
			t.Errorf("after a reset: %v", err)
		}
	})
}

func TestTransfersFitTheLine(t *testing.T) {
	for _, c := range []struct{ rate, most int64 }{{contract.LeastRate, 1}, {2e6, 40}, {1e12, maxTransfers}} {
		l := newLane(c.rate)
		ctx, cancel := context.WithCancel(t.Context())
		for range c.most {
			if _, ok := l.Transfer(ctx, contract.Clients); !ok {
				t.Fatalf("%d B/s: fewer than %d transfers", c.rate, c.most)
			}
		}
		leave, ok := l.Transfer(ctx, contract.Repair)
		if !ok {
			t.Fatal("clients take repair's place")
		}
		leave()
		cancel()
		if _, ok := l.Transfer(ctx, contract.Clients); ok {
			t.Errorf("%d B/s: more than %d transfers", c.rate, c.most)
		}
	}
	if leave, ok := (*Lane)(nil).Transfer(t.Context(), contract.Clients); !ok {
		t.Error("no limit is one")
	} else {
		leave()
	}
}
