package integration

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// rewritten is a file of one size into which somebody writes when so much of it
// has been read.
type rewritten struct {
	*bytes.Reader
	mtime time.Time
	at    int64 // bytes read; 0: never
	read  int64
}

func (f *rewritten) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	if before := f.read; before < f.at && before+int64(n) >= f.at {
		f.mtime = f.mtime.Add(time.Minute)
	}
	f.read += int64(n)
	return n, err
}

func (f *rewritten) source() client.Source {
	return client.Source{
		Reader: f, Name: "f", Path: "/f", Inode: 7, Size: f.Size(), MTime: f.mtime,
		Stat: func() (int64, time.Time, error) { return f.Size(), f.mtime, nil },
	}
}

// A file that is written to while it is put, and keeps its size, is refused: what
// was read of it is partly old and partly new. That is so from the beginning, when
// a put is taken up again, and of one among many.
func TestSourceRewritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8, memnet.Config{Latency: time.Millisecond, Rate: 200 << 20})
		o, session := w.owner(t.TempDir())
		b := randomBytes(30 << 20)
		when := time.Now()
		file := func(at int64) *rewritten { return &rewritten{Reader: bytes.NewReader(b), mtime: when, at: at} }

		if res, err := session().Put(w.ctx, file(20<<20).source(), client.PutOptions{}); !errors.Is(err, client.ErrSourceChanged) {
			t.Errorf("from the beginning: %+v, %v", res, err)
		}
		for _, u := range must(o.Uploads()) {
			if !u.Unfinished {
				t.Errorf("listed as stored: %+v", u)
			}
			must(session().DeleteUnfinished(w.ctx, u.ID, client.DeleteOptions{}))
		}

		ctx, cancel := context.WithCancel(w.ctx)
		src := file(0).source()
		src.Reader = &fileSource{Reader: bytes.NewReader(b), breakAt: 20 << 20, cut: func() { time.Sleep(5 * time.Second); cancel() }}
		if _, err := session().Put(ctx, src, client.PutOptions{}); !errors.Is(err, context.Canceled) {
			t.Fatalf("the first session: %v", err)
		}
		if res, err := session().Put(w.ctx, file(20<<20).source(), client.PutOptions{}); !errors.Is(err, client.ErrSourceChanged) {
			t.Errorf("taken up again: %+v, %v", res, err)
		}
		if _, err := session().Put(w.ctx, file(0).source(), client.PutOptions{}); err != nil {
			t.Errorf("untouched: %v", err)
		}

		list, _ := putAll(w, session(), func(yield func(client.Source, error) bool) {
			for _, at := range []int64{0, 20 << 20, 0} {
				if !yield(file(at).source(), nil) {
					return
				}
			}
		})
		for i, s := range list {
			if changed := errors.Is(s.Err, client.ErrSourceChanged); changed != (i == 1) {
				t.Errorf("file %d of many: %v", i, s.Err)
			}
		}
	})
}

// A file that is written to early is not sent whole before it is refused: nothing of
// it that was read after that is sent.
func TestSourceRewrittenEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8, memnet.Config{Latency: time.Millisecond, Rate: 200 << 20})
		_, session := w.owner(t.TempDir())
		b := randomBytes(60 << 20)
		when := time.Now()
		file := func(at int64) *rewritten { return &rewritten{Reader: bytes.NewReader(b), mtime: when, at: at} }
		refused := func(name string, put func(client.Source) error) {
			t.Helper()
			f, before := file(1<<20), w.shards()
			if err := put(f.source()); !errors.Is(err, client.ErrSourceChanged) {
				t.Errorf("%s: %v", name, err)
			}
			if more := w.shards() - before; more > 0 || f.read > f.Size()*2/3 {
				t.Errorf("%s: %d shards were stored, and %d of %d bytes read", name, more, f.read, f.Size())
			}
		}
		one := func(src client.Source) error {
			_, err := session().Put(w.ctx, src, client.PutOptions{})
			return err
		}
		refused("from the beginning", one)
		refused("one among many", func(src client.Source) error {
			list, _ := putAll(w, session(), func(yield func(client.Source, error) bool) { yield(src, nil) })
			return list[0].Err
		})

		ctx, cancel := context.WithCancel(w.ctx)
		src := file(0).source()
		src.Reader = &fileSource{Reader: bytes.NewReader(b), breakAt: 20 << 20, cut: func() { time.Sleep(5 * time.Second); cancel() }}
		if _, err := session().Put(ctx, src, client.PutOptions{}); !errors.Is(err, context.Canceled) {
			t.Fatalf("the first session: %v", err)
		}
		refused("taken up again", one)
	})
}
