package integration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
)

// shards returns how many shards all nodes keep together.
func (w *world) shards() (n int) {
	for _, m := range w.nodes {
		n += m.store.Usage().Shards
	}
	return n
}

func (w *world) freeing() (n int) {
	for _, m := range w.nodes {
		n += m.node.Status().Freeing
	}
	return n
}

// owner opens an owner's home and returns how to begin sessions on it.
func (w *world) owner(dir string) (*client.Owner, func() *client.Client) {
	w.t.Helper()
	o, err := client.OpenOwner(dir, w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = o.Close() })
	return o, func() *client.Client {
		p := w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.boot})
		c := client.New(client.Config{Network: worldNetwork, Net: p, Owner: o, Log: w.log})
		w.t.Cleanup(c.Close)
		return c
	}
}

// What is deleted is refused immediately and gone from every disk a week later,
// and nothing else is. Only the owner that put it can delete it.
func TestDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10, memnet.Config{Latency: 10 * time.Millisecond})
		o, session := w.owner(t.TempDir())
		c := session()
		kept := put(w, c, randomBytes(3<<20), client.PutOptions{})
		before := w.shards()
		b := randomBytes(9 << 20)
		doomed := put(w, c, b, client.PutOptions{})
		if _, err := w.client(true).Delete(w.ctx, doomed.Link, client.DeleteOptions{}); !errors.Is(err, client.ErrNotOwn) {
			t.Fatalf("a stranger deletes: %v", err)
		}
		var seen []int
		res, err := session().Delete(w.ctx, doomed.Link, client.DeleteOptions{Progress: func(n, _ int) { seen = append(seen, n) }})
		if err != nil || res.Holders != 6 || res.Acknowledged != 6 || res.Segments != doomed.Segments || !res.Enough {
			t.Fatalf("%+v, %v", res, err)
		}
		if len(seen) == 0 || seen[len(seen)-1] != 6 {
			t.Errorf("progress: %v", seen)
		}
		if _, err := get(w, doomed.Link); !errors.Is(err, client.ErrRevoked) {
			t.Errorf("get what is deleted: %v", err)
		}
		if n := w.freeing(); n != 6*doomed.Segments {
			t.Errorf("%d shards wait to be freed", n)
		}
		time.Sleep(7*24*time.Hour + time.Hour)
		if n := w.shards(); n != before {
			t.Errorf("%d shards are left, before there were %d", n, before)
		}
		if got, err := get(w, kept.Link); err != nil || int64(len(got)) != kept.Size {
			t.Errorf("get what was kept: %d bytes, %v", len(got), err)
		}
		if _, err := session().Delete(w.ctx, doomed.Link, client.DeleteOptions{}); !errors.Is(err, client.ErrDeleted) {
			t.Errorf("delete it again: %v", err)
		}
		if at, err := o.DeletedAt(doomed.Link); err != nil || time.Since(at) < 7*24*time.Hour {
			t.Errorf("it was deleted at %s, %v", at, err)
		}
		if at, err := o.DeletedAt(kept.Link); err != nil || !at.IsZero() {
			t.Errorf("what is kept was deleted at %s, %v", at, err)
		}
	})
}

// A deletion that too few holders hear of stays listed and is taken up by later
// sessions; holders that were away hear of it from any session that comes.
func TestDeleteIsTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, memnet.Config{Latency: 10 * time.Millisecond})
		dir := t.TempDir()
		o, session := w.owner(dir)
		up := put(w, session(), randomBytes(1<<20), client.PutOptions{})
		ids := make(map[int]*member)
		h, err := w.client(false).Health(w.ctx, up.Link)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range h.Holders {
			ids[x.Slot] = w.member(x.Peer)
		}
		for slot := range 4 {
			ids[slot].Stop()
		}
		res, err := session().Delete(w.ctx, up.Link, client.DeleteOptions{})
		if !errors.Is(err, client.ErrTooFew) || res == nil || res.Acknowledged != 2 {
			t.Fatalf("with 4 of 6 away: %+v, %v", res, err)
		}
		list, err := o.Uploads()
		if err != nil || len(list) != 1 || !list[0].Deleting || list[0].Link.Pointer != up.Link.Pointer {
			t.Fatalf("%+v, %v", list, err)
		}
		ids[0].Start()
		ids[1].Start()
		ids[2].Start()
		w.must(o.Close())
		o, session = w.owner(dir)
		if res, err = session().Delete(w.ctx, up.Link, client.DeleteOptions{}); err != nil || res.Acknowledged != 5 {
			t.Fatalf("again, with 1 of 6 away: %+v, %v", res, err)
		}
		if list, err := o.Uploads(); err != nil || len(list) != 0 {
			t.Fatalf("listed still: %+v, %v", list, err)
		}
		c := session()
		if !c.Owes() {
			t.Error("nothing is owed to the holder that is away")
		}
		ids[3].Start()
		w.must(c.Attend(w.ctx))
		if c.Owes() {
			t.Error("something is owed still")
		}
		if n := w.freeing(); n != 6*up.Segments {
			t.Errorf("%d shards wait to be freed", n)
		}
	})
}

// A deletion whose session ends before it has told anybody is carried out by
// the next one.
func TestDeleteCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, memnet.Config{Latency: 10 * time.Millisecond})
		dir := t.TempDir()
		o, session := w.owner(dir)
		up := put(w, session(), randomBytes(1<<20), client.PutOptions{})
		for after := time.Duration(0); after < 40*time.Millisecond; after += 5 * time.Millisecond {
			ctx, cancel := context.WithTimeout(w.ctx, after)
			_, err := session().Delete(ctx, up.Link, client.DeleteOptions{})
			cancel()
			if errors.Is(err, client.ErrDeleted) {
				break // done
			}
			w.must(o.Close())
			o, session = w.owner(dir)
		}
		w.must(session().Attend(w.ctx))
		if list, err := o.Uploads(); err != nil || len(list) != 0 {
			t.Fatalf("listed still: %+v, %v", list, err)
		}
		time.Sleep(7*24*time.Hour + time.Hour)
		if n := w.shards(); n != 0 {
			t.Errorf("%d shards are left", n)
		}
	})
}

// What an interrupted put has stored can be freed by its name, safe or not; what
// failed puts leave behind is freed without being named.
func TestDeleteUnfinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, memnet.Config{Latency: 10 * time.Millisecond, Rate: 20 << 20})
		dir := t.TempDir()
		o, session := w.owner(dir)
		b := randomBytes(100 << 20)
		ctx, cancel := context.WithCancel(w.ctx)
		src := &hookReader{r: bytes.NewReader(b), every: 90 << 20, hook: cancel}
		_, err := session().Put(ctx, client.Source{Reader: src, Name: "x", Path: "/x", Size: int64(len(b))}, client.PutOptions{})
		if err == nil {
			t.Fatal("the put was not cut off")
		}
		list, err := o.Uploads()
		if err != nil || len(list) != 1 || !list[0].Unfinished || list[0].ID == "" {
			t.Fatalf("%+v, %v", list, err)
		}
		if w.shards() == 0 {
			t.Fatal("nothing is stored: the test tests nothing")
		}
		if _, err := session().DeleteUnfinished(w.ctx, "put-0011223344556677", client.DeleteOptions{}); !errors.Is(err, client.ErrNotOwn) {
			t.Errorf("another name: %v", err)
		}
		res, err := session().DeleteUnfinished(w.ctx, list[0].ID, client.DeleteOptions{})
		if err != nil || res.Segments == 0 || res.Acknowledged != 6 {
			t.Fatalf("%+v, %v", res, err)
		}
		if _, err := session().DeleteUnfinished(w.ctx, list[0].ID, client.DeleteOptions{}); !errors.Is(err, client.ErrDeleted) {
			t.Errorf("again: %v", err)
		}
		if at, err := o.UnfinishedDeletedAt(list[0].ID); err != nil || at.IsZero() {
			t.Errorf("deleted at %s, %v", at, err)
		}
		if list, err := o.Uploads(); err != nil || len(list) != 0 {
			t.Fatalf("listed still: %+v, %v", list, err)
		}
		broken := io.MultiReader(bytes.NewReader(b[:10<<20]), failingReader{errors.New("the disk is broken")})
		if _, err := session().Put(w.ctx, client.Source{Reader: broken, Name: "y", Size: -1}, client.PutOptions{}); err == nil {
			t.Fatal("a put of a broken source works")
		}
		for _, u := range must(o.Uploads()) {
			if _, err := session().DeleteUnfinished(w.ctx, u.ID, client.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
		w.must(session().Attend(w.ctx))
		time.Sleep(7*24*time.Hour + time.Hour)
		if n := w.shards(); n != 0 {
			t.Errorf("%d shards are left", n)
		}
	})
}

// Of what PutAll stored, FreePacked frees what nobody wants, and nothing else.
func TestFreePacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, memnet.Config{Latency: 10 * time.Millisecond})
		_, session := w.owner(t.TempDir())
		c := session()
		texts := [][]byte{randomBytes(5 << 20), randomBytes(3 << 10), randomBytes(7 << 20)}
		list, _ := putAll(w, c, sourcesOf(texts))
		before := w.shards()
		wanted := make(map[protocol.SegmentID]bool)
		for _, s := range list[:2] {
			f, err := c.OpenManifest(w.ctx, s.Manifest)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range f.Segments() {
				wanted[e.Segment] = true
			}
		}
		live := func(_ protocol.GroupID, s protocol.SegmentID) bool { return wanted[s] }
		res, err := c.FreePacked(w.ctx, live, client.DeleteOptions{})
		if err != nil || res.Segments != 1 {
			t.Fatalf("%+v, %v", res, err)
		}
		if res, err = c.FreePacked(w.ctx, live, client.DeleteOptions{}); err != nil || res.Segments != 0 {
			t.Fatalf("again: %+v, %v", res, err)
		}
		time.Sleep(7*24*time.Hour + time.Hour)
		if n := w.shards(); n != before-6 {
			t.Errorf("%d shards are left of %d", n, before)
		}
		openAll(w, w.client(false), list[:2], texts[:2])
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}
