package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"sync"
)

// waitingBuffer is how many bytes are read from a pipe at a time.
const waitingBuffer = 256 << 10

// waiting reads from something that may never send a byte, and gives up when ctx
// ends. The read that is under way then lasts until the process ends.
type waiting struct {
	ctx  context.Context
	from io.Reader

	begin sync.Once // nothing is read before the first Read
	pipe  *io.PipeReader
}

func (w *waiting) Read(b []byte) (int, error) {
	w.begin.Do(w.start)
	return w.pipe.Read(b)
}

func (w *waiting) start() {
	r, to := io.Pipe()
	w.pipe = r
	stop := context.AfterFunc(w.ctx, func() { _ = to.CloseWithError(context.Cause(w.ctx)) })
	go func() {
		defer stop()
		_, err := io.CopyBuffer(to, struct{ io.Reader }{w.from}, make([]byte, waitingBuffer))
		_ = to.CloseWithError(err)
	}()
}

// mayWait reports whether a read of the file may wait for ever, because another
// process or person has to send the bytes.
func mayWait(info fs.FileInfo) bool {
	return info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeCharDevice) != 0
}

// input returns standard input; a pipe or terminal gives up when ctx ends.
func (a *app) input(ctx context.Context) io.Reader {
	if a.stdin != nil {
		return a.stdin
	}
	a.stdin = a.in
	if f, ok := a.in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && mayWait(info) {
			a.stdin = &waiting{ctx: ctx, from: f}
		}
	}
	return a.stdin
}

// openWaiting opens a file to read it. If that is a pipe to which nobody writes yet,
// it gives up when ctx ends.
func openWaiting(ctx context.Context, path string) (*os.File, error) {
	type opened struct {
		*os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.File, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
