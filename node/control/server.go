package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

// Limits of a conversation.
const (
	maxLine    = 1 << 20          // bytes of a request or a reply
	maxClients = 16               // served at a time; further ones wait
	idleTime   = 30 * time.Second // until a request's line must be there
	probeTime  = time.Second      // for asking whether a socket is alive
)

// ErrInUse says that another process serves this socket.
var ErrInUse = errors.New("another process serves this control socket")

// Handler does one verb. args are the request's, nil if it had none; the
// result is sent as JSON. ctx ends with the server.
type Handler = func(ctx context.Context, args json.RawMessage) (any, error)

type request struct {
	Verb string          `json:"verb"`
	Args json.RawMessage `json:"args,omitempty"`
}

type reply struct {
	OK     bool            `json:"ok"`
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// Server answers on a control socket.
type Server struct {
	listener net.Listener
	handlers map[string]Handler
	cancel   context.CancelFunc
	done     sync.WaitGroup
	slots    chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once closed
}

// Listen serves handlers, by verb, on the socket of path until Close. It takes
// the place of a dead process's socket; where a living one answers, it returns
// ErrInUse.
func Listen(path string, handlers map[string]Handler) (*Server, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		listener: l, handlers: handlers, cancel: cancel,
		slots: make(chan struct{}, maxClients), conns: make(map[net.Conn]struct{}),
	}
	s.done.Go(func() { s.accept(ctx) })
	return s, nil
}

func listen(path string) (net.Listener, error) {
	addr, err := address(path)
	if err != nil {
		return nil, err
	}
	if err := checkDir(path, addr); err != nil {
		return nil, err
	}
	if c, err := net.DialTimeout("unix", addr, probeTime); err == nil {
		_ = c.Close()
		return nil, ErrInUse
	}
	if err := os.Remove(addr); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", addr)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(addr, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// Close stops serving, removes the socket, ends the handlers' context and waits for
// them.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.cancel()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.done.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close control socket: %w", err)
	}
	return nil
}

func (s *Server) accept(ctx context.Context) {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c, err := s.listener.Accept()
		if err != nil {
			<-s.slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, for example: other connections give some back.
			select {
			case <-time.After(probeTime):
			case <-ctx.Done():
				return
			}
			continue
		}
		s.done.Go(func() {
			defer func() { <-s.slots }()
			s.serve(ctx, c)
		})
	}
}

// serve answers the requests of one connection, one after another.
func (s *Server) serve(ctx context.Context, c net.Conn) {
	if !s.track(c) {
		_ = c.Close()
		return
	}
	defer s.forget(c)
	in := bufio.NewScanner(c)
	in.Buffer(nil, maxLine)
	for {
		if err := c.SetDeadline(time.Now().Add(idleTime)); err != nil || !in.Scan() {
			return
		}
		// A verb may take as long as it needs.
		if err := c.SetDeadline(time.Time{}); err != nil {
			return
		}
		line, err := json.Marshal(s.answer(ctx, in.Bytes()))
		if err != nil {
			return
		}
		if err := c.SetWriteDeadline(time.Now().Add(idleTime)); err != nil {
			return
		}
		if _, err := c.Write(append(line, '\n')); err != nil {
			return
		}
	}
}

func (s *Server) answer(ctx context.Context, line []byte) reply {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return reply{Error: "request is no JSON object: " + err.Error()}
	}
	h, ok := s.handlers[r.Verb]
	if !ok {
		return reply{Error: fmt.Sprintf("verb %.40q: unknown to this process", r.Verb)}
	}
	v, err := h(ctx, r.Args)
	if err != nil {
		return reply{Error: err.Error()}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return reply{Error: fmt.Sprintf("verb %s: %v", r.Verb, err)}
	}
	if len(b) > maxLine-1024 { // room for the reply's other fields
		return reply{Error: fmt.Sprintf("verb %s: result of %d bytes", r.Verb, len(b))}
	}
	return reply{OK: true, Result: b}
}

func (s *Server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) forget(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}
