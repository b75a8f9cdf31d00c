package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/protocol"
)

// meteredNet has all streams that this node opens cross its line. It asks
// others for the sake of repair only.
type meteredNet struct {
	protocol.Network
	line *line
}

func (n meteredNet) Open(ctx context.Context, to peer.ID) (protocol.Stream, error) {
	s, err := n.Network.Open(ctx, to)
	if err != nil {
		return nil, err
	}
	return n.line.over(s, contract.Repair), nil
}

// metered is a stream that crosses the line. A deadline bounds the peer: the
// time that bytes wait for the donor's own limits is added to it. Reset may
// come from anywhere, all else from one goroutine at a time.
type metered struct {
	protocol.Stream
	line  *line
	class contract.Class // of the request under way, or of the last one

	ctx                   context.Context    // of the waiting; nil: there is no limit
	cancel                context.CancelFunc // likewise
	readUntil, writeUntil time.Time          // the peer's deadlines; zero: none
}

type lineKey struct{}

// withLine tells a request under ctx which stream its bytes come by.
func withLine(ctx context.Context, m *metered) context.Context {
	return context.WithValue(ctx, lineKey{}, m)
}

// charge has what comes by ctx's stream from now on counted and paced as a
// class's, until the stream's next request.
func charge(ctx context.Context, c contract.Class) {
	if m, ok := ctx.Value(lineKey{}).(*metered); ok {
		m.class = c
	}
}

// classOf returns what a request counts as until more is known of it. What
// neighbours owe one another is for repair, and what only they are answered;
// shards go either way.
func classOf(k protocol.Kind, neighbour bool) contract.Class {
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

// refused takes the place with repair from whoever was refused what they
// asked: else a stranger's requests would be at its cost.
func (m *metered) refused(err error) {
	if err != nil {
		m.class = contract.Clients
	}
}

// over leads a stream over the line.
func (l *line) over(s protocol.Stream, c contract.Class) *metered {
	m := &metered{Stream: s, line: l, class: c}
	if l.up != nil || l.down != nil {
		m.ctx, m.cancel = context.WithCancel(context.Background())
	}
	return m
}

// Read reads what has come, and takes its time over it.
func (m *metered) Read(b []byte) (int, error) {
	if m.line.down != nil && len(b) > linePiece {
		b = b[:linePiece]
	}
	n, err := m.Stream.Read(b)
	if n == 0 {
		return n, err
	}
	m.line.spent[m.class].down.Add(int64(n))
	if wait := m.wait(m.line.down, n); err == nil {
		err = wait
	}
	return n, err
}

// Write writes b in pieces, each when the line has room for it.
func (m *metered) Write(b []byte) (n int, err error) {
	if m.line.up == nil {
		n, err = m.Stream.Write(b)
		m.line.spent[m.class].up.Add(int64(n))
		return n, err
	}
	for n < len(b) && err == nil {
		piece := b[n:min(len(b), n+linePiece)]
		if err = m.wait(m.line.up, len(piece)); err != nil {
			break
		}
		var wrote int
		wrote, err = m.Stream.Write(piece)
		m.line.spent[m.class].up.Add(int64(wrote))
		n += wrote
	}
	return n, err
}

// wait waits for a lane, if there is one, and gives the peer as much longer.
func (m *metered) wait(l *lane, n int) error {
	if l == nil {
		return nil
	}
	begun := time.Now()
	if err := l.wait(m.ctx, m.class, n); err != nil {
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
func (m *metered) SetReadDeadline(t time.Time) error {
	m.readUntil = t
	return m.Stream.SetReadDeadline(t)
}

// SetWriteDeadline bounds how long the peer may take to receive.
func (m *metered) SetWriteDeadline(t time.Time) error {
	m.writeUntil = t
	return m.Stream.SetWriteDeadline(t)
}

// Close ends the stream, and the waiting for its sake.
func (m *metered) Close() error {
	m.quit()
	return m.Stream.Close()
}

// Reset ends the stream at once.
func (m *metered) Reset() error {
	m.quit()
	return m.Stream.Reset()
}

func (m *metered) quit() {
	if m.cancel != nil {
		m.cancel()
	}
}
