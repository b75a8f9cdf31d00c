package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// bubble runs test on a network of n servers that all know one another, in
// virtual time.
func bubble(t *testing.T, cfg Config, n int, test func(t *testing.T, net *Net, peers []*Peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := New(cfg)
		defer func() { _ = net.Close() }()
		peers := make([]*Peer, n)
		for i := range peers {
			peers[i] = net.Peer(PeerConfig{Server: true})
			peers[i].Serve(echo)
		}
		for _, p := range peers {
			for _, q := range peers {
				p.Learn(q.AddrInfo())
			}
		}
		test(t, net, peers)
	})
}

func echo(s protocol.Stream) {
	if _, err := io.Copy(struct{ io.Writer }{s}, s); err != nil {
		_ = s.Reset()
		return
	}
	_ = s.Close()
}

func mustOpen(t *testing.T, from, to *Peer) protocol.Stream {
	t.Helper()
	s, err := from.Open(t.Context(), to.Self())
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

// ask sends b, waits for it to come back and returns how long that took.
func ask(s protocol.Stream, b []byte) (time.Duration, error) {
	begin := time.Now()
	if _, err := s.Write(b); err != nil {
		return 0, err
	}
	got := make([]byte, len(b))
	if _, err := io.ReadFull(s, got); err != nil {
		return time.Since(begin), err
	}
	if !bytes.Equal(got, b) {
		return 0, errors.New("other bytes came back")
	}
	return time.Since(begin), nil
}

func TestLatency(t *testing.T) {
	const latency = 50 * time.Millisecond
	bubble(t, Config{Latency: latency}, 2, func(t *testing.T, net *Net, p []*Peer) {
		begin := time.Now()
		s := mustOpen(t, p[0], p[1])
		if d := time.Since(begin); d != 2*latency {
			t.Errorf("dialled in %v", d)
		}
		if d, err := ask(s, []byte("x")); err != nil || d != 2*latency {
			t.Errorf("round trip in %v, %v", d, err)
		}
		begin = time.Now()
		mustOpen(t, p[0], p[1])
		if d := time.Since(begin); d != 0 {
			t.Errorf("second stream in %v", d)
		}
		net.SetLink(p[1].Self(), p[0].Self(), Link{Latency: time.Second})
		if d, err := ask(s, []byte("x")); err != nil || d != latency+time.Second {
			t.Errorf("round trip on an uneven link in %v, %v", d, err)
		}
	})
}

func TestJitterKeepsOrder(t *testing.T) {
	bubble(t, Config{Seed: 3, Latency: time.Millisecond, Jitter: time.Second}, 2, func(t *testing.T, _ *Net, p []*Peer) {
		s := mustOpen(t, p[0], p[1])
		for range 20 {
			if _, err := s.Write([]byte("0123456789")); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, 200)
		if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, bytes.Repeat([]byte("0123456789"), 20)) {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

// A stream that was opened over a perfect link is slowed when the link changes.
func TestJitterComesLate(t *testing.T) {
	bubble(t, Config{Seed: 4, Latency: time.Millisecond}, 2, func(t *testing.T, net *Net, p []*Peer) {
		s := mustOpen(t, p[0], p[1])
		net.SetLink(p[0].Self(), p[1].Self(), Link{Latency: time.Second, Jitter: time.Second})
		if d, err := ask(s, []byte("x")); err != nil || d < time.Second {
			t.Errorf("round trip in %v, %v", d, err)
		}
	})
}

// Both directions and all streams of a peer share its line.
func TestRate(t *testing.T) {
	const rate = 1 << 20
	bubble(t, Config{Rate: rate}, 3, func(t *testing.T, net *Net, p []*Peer) {
		size := 4 * rate
		sink := func(s protocol.Stream) {
			_, _ = io.Copy(io.Discard, s)
			_ = s.Close()
		}
		begin := time.Now()
		for _, q := range p[1:] {
			q.Serve(sink)
			s := mustOpen(t, p[0], q)
			go func() {
				_, _ = s.Write(make([]byte, size))
				_ = s.Close()
			}()
		}
		p[1].handlers.Wait()
		p[2].handlers.Wait()
		if d := time.Since(begin); d < 8*time.Second || d > 8500*time.Millisecond {
			t.Errorf("2 × %d bytes at %d a second took %v", size, rate, d)
		}
		slow := net.Peer(PeerConfig{Rate: rate / 4})
		slow.Serve(sink)
		p[1].Learn(slow.AddrInfo())
		begin = time.Now()
		s := mustOpen(t, p[1], slow)
		if _, err := s.Write(make([]byte, rate)); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		slow.handlers.Wait()
		if d := time.Since(begin); d < 4*time.Second || d > 4500*time.Millisecond {
			t.Errorf("%d bytes into a line of %d a second took %v", rate, rate/4, d)
		}
	})
}

func TestLoss(t *testing.T) {
	bubble(t, Config{Seed: 5, Loss: 0.2}, 2, func(t *testing.T, _ *Net, p []*Peer) {
		failed, broke := 0, 0
		for range 500 {
			s, err := p[0].Open(t.Context(), p[1].Self())
			if errors.Is(err, protocol.ErrUnreachable) {
				failed++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ask(s, make([]byte, 200<<10)); errors.Is(err, ErrReset) {
				broke++
			} else if err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
		}
		if failed < 70 || failed > 130 || broke < 70 {
			t.Errorf("seed 5: of 500 streams %d failed to open, %d broke", failed, broke)
		}
	})
}

// The same seed makes the same streams break.
func TestLossIsReproducible(t *testing.T) {
	var runs [2][]bool
	for i := range runs {
		bubble(t, Config{Seed: 9, Loss: 0.3}, 2, func(t *testing.T, _ *Net, p []*Peer) {
			for range 100 {
				s, err := p[0].Open(t.Context(), p[1].Self())
				runs[i] = append(runs[i], err == nil)
				if err == nil {
					_, err := ask(s, make([]byte, 1000))
					runs[i] = append(runs[i], err == nil)
					_ = s.Close()
				}
			}
		})
	}
	if len(runs[0]) != len(runs[1]) {
		t.Fatal("seed 9: two runs differ")
	}
	for i := range runs[0] {
		if runs[0][i] != runs[1][i] {
			t.Fatalf("seed 9: two runs differ at %d", i)
		}
	}
}

func TestFreeze(t *testing.T) {
	bubble(t, Config{Latency: time.Millisecond}, 3, func(t *testing.T, _ *Net, p []*Peer) {
		old := mustOpen(t, p[0], p[1])
		if _, err := ask(old, []byte("warm")); err != nil {
			t.Fatal(err)
		}
		p[1].Freeze()
		fresh := mustOpen(t, p[0], p[1])
		unknown := mustOpen(t, p[2], p[1])
		for i, s := range []protocol.Stream{old, fresh, unknown} {
			blackHole(t, i, s)
		}
		// Its own calls hang, too.
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := p[1].Open(ctx, p[0].Self()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a frozen peer opened a stream: %v", err)
		}
		p[1].Thaw()
		for i, s := range []protocol.Stream{old, fresh, unknown} {
			_ = s.SetReadDeadline(time.Now().Add(time.Second))
			if n, err := io.ReadFull(s, make([]byte, window)); err != nil {
				t.Errorf("stream %d: %d bytes after the thaw: %v", i, n, err)
			}
		}
	})
}

// blackHole expects a stream to take a window of bytes and nothing more.
func blackHole(t *testing.T, i int, s protocol.Stream) {
	t.Helper()
	_ = s.SetWriteDeadline(time.Now().Add(time.Minute))
	begin := time.Now()
	n, err := s.Write(make([]byte, 4*window))
	if n != window || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != time.Minute {
		t.Errorf("stream %d: wrote %d bytes in %v: %v", i, n, time.Since(begin), err)
	}
	_ = s.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("stream %d: read: %v", i, err)
	}
}

// A frozen process that is then killed is dead to others immediately.
func TestStopWhileFrozen(t *testing.T) {
	bubble(t, Config{}, 2, func(t *testing.T, _ *Net, p []*Peer) {
		s := mustOpen(t, p[0], p[1])
		p[1].Freeze()
		go p[1].Stop()
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrReset) {
			t.Errorf("read: %v", err)
		}
		if _, err := p[0].Open(t.Context(), p[1].Self()); !errors.Is(err, errRefused) {
			t.Errorf("open: %v", err)
		}
		p[1].Start()
		if _, err := ask(mustOpen(t, p[0], p[1]), []byte("back")); err != nil {
			t.Errorf("after the start: %v", err)
		}
	})
}

func TestPartition(t *testing.T) {
	bubble(t, Config{Latency: time.Millisecond}, 4, func(t *testing.T, net *Net, p []*Peer) {
		across, within := mustOpen(t, p[0], p[2]), mustOpen(t, p[0], p[1])
		for _, s := range []protocol.Stream{across, within} {
			if _, err := ask(s, []byte("whole")); err != nil {
				t.Fatal(err)
			}
		}
		net.Partition([]peer.ID{p[0].Self(), p[1].Self()}) // the others are a further set
		_ = across.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := ask(across, []byte("cut off")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("across: %v", err)
		}
		if _, err := ask(within, []byte("here")); err != nil {
			t.Errorf("within: %v", err)
		}
		if _, _, ok := p[0].RemoteAddr(p[2].Self()); ok {
			t.Error("still connected across")
		}
		begin := time.Now()
		if _, err := p[3].Open(t.Context(), p[1].Self()); !errors.Is(err, protocol.ErrUnreachable) || time.Since(begin) != dialTimeout {
			t.Errorf("dial across: %v after %v", err, time.Since(begin))
		}
		if _, err := ask(mustOpen(t, p[3], p[2]), []byte("there")); err != nil {
			t.Errorf("on the other side: %v", err)
		}
		net.Heal()
		_ = across.SetReadDeadline(time.Time{})
		got := make([]byte, 7)
		if _, err := io.ReadFull(across, got); err != nil || string(got) != "cut off" {
			t.Errorf("after healing: %q, %v", got, err)
		}
		if _, err := ask(mustOpen(t, p[3], p[1]), []byte("again")); err != nil {
			t.Errorf("dial after healing: %v", err)
		}
	})
}

// What happened behind a cut shows when the link is whole again.
func TestStopBehindPartition(t *testing.T) {
	bubble(t, Config{}, 2, func(t *testing.T, net *Net, p []*Peer) {
		inbound := make(chan protocol.Stream, 1)
		p[0].Serve(func(s protocol.Stream) { inbound <- s })
		mustOpen(t, p[1], p[0])
		far := <-inbound
		net.Partition([]peer.ID{p[0].Self()})
		p[1].Stop()
		_ = far.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("behind the cut: %v", err)
		}
		_ = far.SetReadDeadline(time.Time{})
		net.Heal()
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, ErrReset) {
			t.Errorf("after healing: %v", err)
		}
	})
}

func TestOneWay(t *testing.T) {
	bubble(t, Config{}, 2, func(t *testing.T, net *Net, p []*Peer) {
		received := make(chan string, 1)
		p[1].Serve(func(s protocol.Stream) {
			b := make([]byte, 5)
			_, _ = io.ReadFull(s, b)
			received <- string(b)
			_, _ = s.Write(b)
			_ = s.Close()
		})
		s := mustOpen(t, p[0], p[1])
		net.SetLink(p[1].Self(), p[0].Self(), Link{Cut: true})
		_ = s.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := ask(s, []byte("hello")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("answer over a cut: %v", err)
		}
		if got := <-received; got != "hello" {
			t.Errorf("the open direction carried %q", got)
		}
		if _, err := p[1].Open(t.Context(), p[0].Self()); !errors.Is(err, errTimeout) {
			t.Errorf("dial over a half link: %v", err)
		}
	})
}

func TestWrapper(t *testing.T) {
	bubble(t, Config{}, 2, func(t *testing.T, _ *Net, p []*Peer) {
		p[1].SetWrapper(func(next func(protocol.Stream)) func(protocol.Stream) {
			return func(s protocol.Stream) {
				_, _ = s.Write([]byte("lie"))
				next(s)
			}
		})
		s := mustOpen(t, p[0], p[1])
		_, _ = s.Write([]byte("true"))
		got := make([]byte, 7)
		if _, err := io.ReadFull(s, got); err != nil || string(got) != "lietrue" {
			t.Errorf("%q, %v", got, err)
		}
		p[1].SetWrapper(nil)
		if _, err := ask(mustOpen(t, p[0], p[1]), []byte("true")); err != nil {
			t.Error(err)
		}
	})
}

// As over TCP, nothing tells a writer that its reader closed.
func TestWriterOutlivesReader(t *testing.T) {
	bubble(t, Config{}, 2, func(t *testing.T, _ *Net, p []*Peer) {
		p[1].Serve(func(s protocol.Stream) { _ = s.Close() })
		blackEnd := mustOpen(t, p[0], p[1])
		if _, err := blackEnd.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatalf("read: %v", err)
		}
		_ = blackEnd.SetWriteDeadline(time.Now().Add(time.Minute))
		if n, err := blackEnd.Write(make([]byte, 2*window)); n != window || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d bytes: %v", n, err)
		}
	})
}

// A rule holds for all pairs of peers, also of those that come later, and what it
// says of one direction does not hold for the other.
func TestRule(t *testing.T) {
	bubble(t, Config{}, 3, func(t *testing.T, net *Net, p []*Peer) {
		deaf, at := p[2].Self(), 1.0
		s := mustOpen(t, p[0], p[2])
		rule := func(_, to peer.ID) (Link, bool) { return Link{Loss: at}, to == deaf }
		net.SetRule(rule)
		late := net.Peer(PeerConfig{Bootstrap: []peer.AddrInfo{p[2].AddrInfo()}})
		late.Serve(echo)
		for i, q := range []*Peer{p[0], p[1], late} {
			if _, err := q.Open(t.Context(), deaf); !errors.Is(err, errLost) {
				t.Errorf("peer %d reaches one that hears nothing: %v", i, err)
			}
			p[2].Learn(q.AddrInfo())
			if _, err := ask(mustOpen(t, p[2], q), []byte("heard")); err != nil {
				t.Errorf("peer %d does not hear it: %v", i, err)
			}
		}
		if _, err := ask(s, []byte("open before")); err != nil {
			t.Errorf("a stream that was open before: %v", err)
		}
		at = 0
		net.SetRule(rule)
		if _, err := ask(mustOpen(t, p[1], p[2]), []byte("back")); err != nil {
			t.Errorf("after the rule has changed: %v", err)
		}
		net.SetRule(func(from, to peer.ID) (Link, bool) { return Link{Cut: true}, from == deaf || to == deaf })
		if _, _, connected := p[1].RemoteAddr(deaf); connected {
			t.Error("still connected over a cut")
		}
		if _, err := late.Open(t.Context(), deaf); !errors.Is(err, errTimeout) {
			t.Errorf("dialled over a cut: %v", err)
		}
		net.Heal()
		if _, err := ask(mustOpen(t, late, p[2]), []byte("healed")); err != nil {
			t.Error(err)
		}
	})
}
