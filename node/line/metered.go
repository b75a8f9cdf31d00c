package line

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/protocol"
)

// Net returns a network whose streams cross the line. They count as repair's: a
// node opens streams for nothing else.
func (l *Line) Net(n protocol.Network) protocol.Network { return network{n, l} }

type network struct {
	protocol.Network
	line *Line
}

// Open opens a stream that crosses the line.
func (n network) Open(ctx context.Context, to peer.ID) (protocol.Stream, error) {
	s, err := n.Network.Open(ctx, to)
	if err != nil {
		return nil, err
	}
	return n.line.Over(s, contract.Repair), nil
}

// Metered is a stream that crosses the line. A deadline bounds the peer: the
// time that bytes wait for the donor's own limits is added to it. Reset may
// come from anywhere, all else from one goroutine at a time.
type Metered struct {
	protocol.Stream
	line  *Line
	Class contract.Class // of the request under way, or of the last one

	ctx                   context.Context    // of the waiting; nil: there is no limit
	cancel                context.CancelFunc // of ctx; nil: there is no limit
	readUntil, writeUntil time.Time          // the peer's deadlines; zero: none
}

type key struct{}

// With tells a request under ctx which stream carries its bytes.
func With(ctx context.Context, m *Metered) context.Context {
	return context.WithValue(ctx, key{}, m)
}

// Charge makes what ctx's stream carries from now on, until its next request,
// count and wait as a class's.
func Charge(ctx context.Context, c contract.Class) {
	if m, ok := ctx.Value(key{}).(*Metered); ok {
		m.Class = c
	}
}

// ClassOf returns the class of a request until more is known of it. What neighbours
// owe one another, and what is answered to them only, is for repair; shards may be
// for either class, and count as clients' at first.
func ClassOf(k protocol.Kind, neighbour bool) contract.Class {
	switch k {
	case protocol.KindForm, protocol.KindPut, protocol.KindGet:
		return contract.Clients
	case protocol.KindInfo, protocol.KindHave, protocol.KindMembers, protocol.KindFacts:
		if !neighbour {
			return contract.Clients
		}
	}
	return contract.Repair
}

// Refused counts a request that was refused as a client's: else strangers could
// send requests at the cost of repair.
func (m *Metered) Refused(err error) {
	if err != nil {
		m.Class = contract.Clients
	}
}

// Over makes a stream cross the line.
func (l *Line) Over(s protocol.Stream, c contract.Class) *Metered {
	m := &Metered{Stream: s, line: l, Class: c}
	if l.Up != nil || l.Down != nil {
		m.ctx, m.cancel = context.WithCancel(context.Background())
	}
	return m
}

// Read reads what has come, and takes its time over it.
func (m *Metered) Read(b []byte) (int, error) {
	if m.line.Down != nil && len(b) > sliceSize {
		b = b[:sliceSize]
	}
	n, err := m.Stream.Read(b)
	if n == 0 {
		return n, err
	}
	m.line.Count(m.Class, 0, int64(n))
	if wait := m.wait(m.line.Down, n); err == nil {
		err = wait
	}
	return n, err
}

// Write writes b in slices, each when the line has room for it.
func (m *Metered) Write(b []byte) (n int, err error) {
	if m.line.Up == nil {
		n, err = m.Stream.Write(b)
		m.line.Count(m.Class, int64(n), 0)
		return n, err
	}
	for n < len(b) && err == nil {
		slice := b[n:min(len(b), n+sliceSize)]
		if err = m.wait(m.line.Up, len(slice)); err != nil {
			break
		}
		var wrote int
		wrote, err = m.Stream.Write(slice)
		m.line.Count(m.Class, int64(wrote), 0)
		n += wrote
	}
	return n, err
}

// wait waits for a lane, if there is one, and gives the peer as much longer.
func (m *Metered) wait(l *Lane, n int) error {
	if l == nil {
		return nil
	}
	begun := time.Now()
	if err := l.wait(m.ctx, m.Class, n); err != nil {
		return err
	}
	late := time.Since(begun)
	if late < time.Millisecond {
		return nil
	}
	// A stream that has ended says so when it is used.
	if !m.readUntil.IsZero() {
		m.readUntil = m.readUntil.Add(late)
		_ = m.Stream.SetReadDeadline(m.readUntil)
	}
	if !m.writeUntil.IsZero() {
		m.writeUntil = m.writeUntil.Add(late)
		_ = m.Stream.SetWriteDeadline(m.writeUntil)
	}
	return nil
}

// SetReadDeadline bounds how long the peer may take to send.
func (m *Metered) SetReadDeadline(t time.Time) error {
	m.readUntil = t
	return m.Stream.SetReadDeadline(t)
}

// SetWriteDeadline bounds how long the peer may take to receive.
func (m *Metered) SetWriteDeadline(t time.Time) error {
	m.writeUntil = t
	return m.Stream.SetWriteDeadline(t)
}

// Close ends the stream, and the waiting for its sake.
func (m *Metered) Close() error {
	m.quit()
	return m.Stream.Close()
}

// Reset ends the stream immediately.
func (m *Metered) Reset() error {
	m.quit()
	return m.Stream.Reset()
}

func (m *Metered) quit() {
	if m.cancel != nil {
		m.cancel()
	}
}
