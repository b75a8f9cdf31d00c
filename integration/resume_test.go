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

// fileSource is a source that can be read from the middle, and breaks off
// where the process dies.
type fileSource struct {
	*bytes.Reader
	breakAt int64 // bytes read in this session; 0: never
	cut     func()
	read    int64
}

func (f *fileSource) Read(b []byte) (int, error) {
	if f.breakAt > 0 && f.read >= f.breakAt {
		f.cut()
		return 0, context.Canceled
	}
	n, err := f.Reader.Read(b)
	f.read += int64(n)
	return n, err
}

// An interrupted put goes on where it was and sends nothing again that is safe.
// If the source changed meanwhile it begins anew, or, if only its bytes show the
// change, sends the changed segment.
func TestResumedPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8, memnet.Config{Latency: time.Millisecond, Rate: 200 << 20})
		owner, err := client.OpenOwner(t.TempDir(), w.log)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = owner.Close() }()
		b := randomBytes(60 << 20) // segments of 8 MiB
		when := time.Now()
		session := func(content []byte, breakAt int64, mtime time.Time) (res *client.PutResult, sent int64, err error) {
			p := w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.boot})
			c := client.New(client.Config{Network: worldNetwork, Net: p, Owner: owner, Log: w.log})
			defer c.Close()
			ctx, cancel := context.WithCancel(w.ctx)
			defer cancel()
			src := &fileSource{Reader: bytes.NewReader(content), breakAt: breakAt, cut: func() { time.Sleep(5 * time.Second); cancel() }}
			res, err = c.Put(ctx, client.Source{
				Reader: src, Name: "f", Path: "/f", Inode: 7, Size: int64(len(content)), MTime: mtime,
			}, client.PutOptions{Wait: time.Minute, Progress: func(p client.PutProgress) {
				if p.Phase == client.PhaseSend {
					sent = p.Sent * int64(p.Profile.K) / int64(p.Profile.N) // of the source, but for shards that are late
				}
			}})
			return res, sent, err
		}
		if _, _, err := session(b, 40<<20, when); !errors.Is(err, context.Canceled) {
			t.Fatalf("the first session: %v", err)
		}
		ups, err := owner.Uploads()
		if err != nil || len(ups) != 1 || !ups[0].Unfinished {
			t.Fatalf("after it was cut off: %+v, %v", ups, err)
		}
		res, sent, err := session(b, 0, when)
		if err != nil {
			t.Fatal(err)
		}
		if sent > 30<<20 {
			t.Errorf("the second session sent %d bytes again", sent)
		}
		if res.Stored != 6 || res.Size != int64(len(b)) {
			t.Errorf("result: %+v", res)
		}
		if got, err := get(w, res.Link); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}

		if _, _, err := session(b, 40<<20, when.Add(time.Hour)); err == nil {
			t.Fatal("the third session was not cut off")
		}
		changed := bytes.Clone(b)
		changed[5] ^= 1
		res, sent, err = session(changed, 0, when.Add(2*time.Hour))
		if err != nil || sent < int64(len(b))*7/8 {
			t.Fatalf("a changed source: sent %d, %v", sent, err)
		}
		if got, err := get(w, res.Link); err != nil || !bytes.Equal(got, changed) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}

		if _, _, err := session(b, 40<<20, when.Add(3*time.Hour)); err == nil {
			t.Fatal("the fifth session was not cut off")
		}
		changed[9<<20] ^= 1 // it differs in the first segment, as before, and now in the second, too
		res, sent, err = session(changed, 0, when.Add(3*time.Hour))
		if err != nil || sent < 32<<20 || sent > 46<<20 {
			t.Fatalf("a source that keeps its time: sent %d, %v", sent, err)
		}
		if got, err := get(w, res.Link); err != nil || !bytes.Equal(got, changed) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	})
}
