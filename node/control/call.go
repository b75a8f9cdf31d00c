package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ErrNotRunning says that no process serves the socket.
var ErrNotRunning = errors.New("not running")

// RemoteError is the error with which the process at the other end answered a request.
type RemoteError struct{ Text string }

// Error returns the other end's own words.
func (e *RemoteError) Error() string { return e.Text }

// Call asks the process that serves the socket of path to do verb, and decodes
// its result into result, unless that is nil. It returns ErrNotRunning where
// no process serves the socket and a *RemoteError where the verb failed.
func Call(ctx context.Context, path, verb string, args, result any) error {
	if err := call(ctx, path, verb, args, result); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}

func call(ctx context.Context, path, verb string, args, result any) error {
	line, err := encodeRequest(verb, args)
	if err != nil {
		return err
	}
	c, err := dial(ctx, path)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	r, err := exchange(c, line)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	if !r.OK {
		return &RemoteError{r.Error}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(r.Result, result)
}

func encodeRequest(verb string, args any) ([]byte, error) {
	r := request{Verb: verb}
	if args != nil {
		b, err := json.Marshal(args)
		if err != nil {
			return nil, err
		}
		r.Args = b
	}
	line, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(line) >= maxLine {
		return nil, fmt.Errorf("request of %d bytes", len(line))
	}
	return append(line, '\n'), nil
}

// dial connects. Any failure but the end of ctx means that no process serves the
// socket.
func dial(ctx context.Context, path string) (net.Conn, error) {
	addr, err := address(path)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", addr)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
}

func exchange(c net.Conn, line []byte) (*reply, error) {
	if _, err := c.Write(line); err != nil {
		return nil, err
	}
	in := bufio.NewScanner(c)
	in.Buffer(nil, maxLine)
	if !in.Scan() {
		if err := in.Err(); err != nil {
			return nil, err
		}
		return nil, io.ErrUnexpectedEOF
	}
	r := new(reply)
	if err := json.Unmarshal(in.Bytes(), r); err != nil {
		return nil, err
	}
	return r, nil
}
