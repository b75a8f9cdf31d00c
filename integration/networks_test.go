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

// In a session of another network what was put here is neither renewed nor deleted,
// and no word says that it was: it stays listed, with the network that it is of, and
// back in that one all goes on.
func TestOwnerInAnotherNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, memnet.Config{Latency: 10 * time.Millisecond, Rate: 20 << 20})
		o, session := w.owner(t.TempDir())
		up := put(w, session(), randomBytes(1<<20), client.PutOptions{})
		b := randomBytes(100 << 20)
		ctx, cancel := context.WithCancel(w.ctx)
		src := &hookReader{r: bytes.NewReader(b), every: 90 << 20, hook: cancel}
		if _, err := session().Put(ctx, client.Source{Reader: src, Name: "x", Path: "/x", Size: int64(len(b))}, client.PutOptions{}); err == nil {
			t.Fatal("the put was not cut off")
		}
		before := must(o.Uploads())
		if len(before) != 2 || before[0].Network != worldNetwork || before[1].Network != worldNetwork {
			t.Fatalf("uploads: %+v", before)
		}

		other := client.New(client.Config{Network: "other", Net: w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.boot}), Owner: o, Log: w.log})
		t.Cleanup(other.Close)
		isOther := func(err error) bool {
			var e *client.OtherNetworkError
			return errors.As(err, &e) && e.Network == worldNetwork && e.Here == "other"
		}
		if res, err := other.Renew(w.ctx, client.RenewOptions{}); !isOther(err) || res == nil || res.Groups != 0 || res.Elsewhere[worldNetwork] == 0 {
			t.Errorf("renew: %+v, %v", res, err)
		}
		if res, err := other.Renew(w.ctx, client.RenewOptions{Here: true}); err != nil || res.Groups != 0 || res.Elsewhere[worldNetwork] == 0 {
			t.Errorf("renew, this network alone: %+v, %v", res, err)
		}
		if res, err := other.Delete(w.ctx, up.Link, client.DeleteOptions{}); !isOther(err) || res != nil {
			t.Errorf("delete: %+v, %v", res, err)
		}
		if res, err := other.DeleteUnfinished(w.ctx, before[1].ID, client.DeleteOptions{}); !isOther(err) || res != nil {
			t.Errorf("delete what is unfinished: %+v, %v", res, err)
		}
		if after := must(o.Uploads()); len(after) != 2 || after[0].Deleting || after[1].Deleting {
			t.Errorf("uploads: %+v", after)
		}

		if res, err := session().Renew(w.ctx, client.RenewOptions{}); err != nil || res.Renewed == 0 || len(res.Elsewhere) != 0 {
			t.Errorf("renew, back: %+v, %v", res, err)
		}
		if res, err := session().Delete(w.ctx, up.Link, client.DeleteOptions{}); err != nil || !res.Enough {
			t.Errorf("delete, back: %+v, %v", res, err)
		}
		if res, err := session().DeleteUnfinished(w.ctx, before[1].ID, client.DeleteOptions{}); err != nil || !res.Enough {
			t.Errorf("delete what is unfinished, back: %+v, %v", res, err)
		}
		if res, err := other.Renew(w.ctx, client.RenewOptions{}); err != nil {
			t.Errorf("renew, with nothing left: %+v, %v", res, err)
		}
	})
}

// A deletion that too few know of yet is owed to its own network alone.
func TestDeletionOwedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, memnet.Config{Latency: 10 * time.Millisecond})
		o, session := w.owner(t.TempDir())
		up := put(w, session(), randomBytes(1<<20), client.PutOptions{})
		ctx, cancel := context.WithTimeout(w.ctx, time.Millisecond)
		defer cancel()
		if _, err := session().Delete(ctx, up.Link, client.DeleteOptions{}); !errors.Is(err, client.ErrTooFew) {
			t.Fatalf("a deletion that nobody can hear of: %v", err)
		}
		other := client.New(client.Config{Network: "other", Net: w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.boot}), Owner: o, Log: w.log})
		t.Cleanup(other.Close)
		if err := other.Attend(w.ctx); err != nil || other.Owes() {
			t.Errorf("the other network is owed something: %t, %v", other.Owes(), err)
		}
		res, err := other.Delete(w.ctx, up.Link, client.DeleteOptions{})
		if !errors.As(err, new(*client.OtherNetworkError)) || res == nil || res.Enough {
			t.Errorf("from the other network: %+v, %v", res, err)
		}
		if c := session(); !c.Owes() {
			t.Error("its own network is owed nothing")
		}
		if res, err := session().Delete(w.ctx, up.Link, client.DeleteOptions{}); err != nil || !res.Enough {
			t.Errorf("back: %+v, %v", res, err)
		}
	})
}
