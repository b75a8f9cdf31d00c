package client

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

var middle = protocol.Profile{K: 4, R: 7, N: 10} // a write needs 9, two answers settle a read

func TestConfirmation(t *testing.T) {
	for _, tc := range []struct {
		name      string
		alive     int
		confirmed bool
	}{{"all", 10, true}, {"k", 4, true}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 60, middle, 1000, 0)
				w.announce()
				for _, h := range w.holders[tc.alive:] {
					h.set(frozen)
				}
				c := w.confirmation(0)
				if c.Confirmed != tc.confirmed || c.Needed != 2 || c.Seq != 1 || c.Members != 10 {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// confirmation resolves the link and returns how sure its record is, the time after
// later.
func (w *world) confirmation(after time.Duration) Confirmation {
	w.t.Helper()
	r := w.client.resolve(w.t.Context(), w.link)
	defer r.cancel()
	if _, err := r.first(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	r.confirm(w.t.Context())
	time.Sleep(after)
	return r.confirmation()
}

// TestUnconfirmed has members that answer but may all belong to one person: they are
// behind one address.
func TestUnconfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 61, middle, 1000, 0)
		w.announce()
		w.net.seenAs = func(*holder) multiaddr.Multiaddr { return multiaddr.StringCast("/ip4/8.8.8.8/tcp/4401") }
		if c := w.confirmation(10 * time.Second); c.Confirmed || c.Answered != 1 || c.Agree != 10 || c.Members != 10 {
			t.Errorf("%+v", c)
		}
	})
}

// TestNewestWins has a new record at as few members as a write may reach, and an old
// one at the others.
func TestNewestWins(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 70+seed, middle, 1000, 0)
			w.net.latency = 5 * time.Millisecond
			w.announce()
			w.content = []byte("the second version")
			w.target = protocol.Target{Extent: w.storeFile("v2", w.content)}
			w.publish(2, time.Time{}, 9)
			w.spoil(6, lying, frozen, dead)
			if b, err := w.readAll(t.Context()); err != nil || !bytes.Equal(b, w.content) {
				t.Errorf("seed %d: the old version of %d bytes, or none: %v", 70+seed, len(b), err)
			}
		})
	}
}

// storeFile stores content and a manifest of it.
func (w *world) storeFile(name string, content []byte) protocol.Extent {
	m := &protocol.Manifest{Name: name, Size: int64(len(content)), Extents: w.store(content, 0)}
	b, err := m.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.store(b, 0)[0]
}

func TestRevokedAndExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 62, middle, 1000, 0)
		w.announce()
		w.publish(2, time.Now().Add(time.Hour), 10)
		f, err := w.client.Open(t.Context(), w.link)
		if err != nil || f.Name != "a file" {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if _, err := w.readAll(t.Context()); !errors.Is(err, ErrExpired) {
			t.Errorf("expired: %v", err)
		}
		w.publish(3, time.Time{}, 9) // the owner gave it more time; one member missed it
		w.mustRead(5 * time.Second)
		w.publishPayload(4, [32]byte{}, nil, time.Time{}, 10)
		if _, err := w.readAll(t.Context()); !errors.Is(err, ErrRevoked) {
			t.Errorf("revoked: %v", err)
		}
		if _, err := w.newClient().Health(t.Context(), w.link); !errors.Is(err, ErrRevoked) {
			t.Errorf("health of a revoked link: %v", err)
		}
		if strings.Contains(err2text(w.newClient().Open(t.Context(), w.link)), string(w.read[:])) {
			t.Error("the secret stands in an error")
		}
	})
}

func err2text(_ *File, err error) string { return err.Error() }

// TestRollbackIsRefused shows an older record to a session that saw a newer one.
func TestRollbackIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 63, middle, 1000, 0)
		w.announce()
		w.publish(5, time.Time{}, 10)
		if _, err := w.client.Open(t.Context(), w.link); err != nil {
			t.Fatal(err)
		}
		w.publish(4, time.Time{}, 10)
		if _, err := w.client.Open(t.Context(), w.link); err == nil {
			t.Error("an older record is followed")
		}
	})
}

func TestNoPointer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 64, middle, 1000, 0)
		w.announce()
		for _, h := range w.holders {
			h.edit(func() { h.pointers = nil })
		}
		if _, err := w.readAll(t.Context()); !errors.Is(err, ErrNotFound) {
			t.Errorf("a group without the pointer: %v", err)
		}
		for _, h := range w.holders[1:] {
			h.set(frozen)
		}
		if _, err := w.readAll(t.Context()); !errors.Is(err, ErrTooFew) {
			t.Errorf("one member without the pointer: %v", err)
		}
	})
}

func TestWrongSecretAndForeignPointer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 65, middle, 1000, 0)
		w.announce()
		bad := w.link
		bad.Read[0] ^= 1
		if _, err := w.client.Open(t.Context(), bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("a wrong read secret: %v", err)
		}
		other := w.link
		other.Pointer[0] ^= 1
		for _, h := range w.holders {
			h.edit(func() { h.pointers[other.Pointer] = h.pointers[w.link.Pointer] }) // signed, but another's
		}
		if _, err := w.client.Open(t.Context(), other); !errors.Is(err, ErrNotFound) {
			t.Errorf("another pointer's record: %v", err)
		}
	})
}

// TestFewMembersAreAsked: of many members only as many as settle which record is the
// newest are asked, and not many more.
func TestFewMembersAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 66, protocol.Profile{K: 20, R: 36, N: 56}, 1000, 0)
		w.net.latency = 5 * time.Millisecond
		w.announce()
		c := w.confirmation(time.Minute)
		w.net.mu.Lock()
		asked := len(w.net.opened)
		w.net.mu.Unlock()
		if most := 2*providerFirst + 2*c.Needed; !c.Confirmed || asked > most {
			t.Errorf("%d of %d members were asked, where %d settle it: %+v", asked, c.Members, c.Needed, c)
		}
	})
}

// TestKnownMembersAreAskedOn opens a link again whose group the session knows, when
// most members are gone and nobody else names any.
func TestKnownMembersAreAskedOn(t *testing.T) {
	for _, gone := range []mood{dead, frozen} {
		for seed := range uint64(5) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 90+seed, middle, 1000, 0)
				w.announce()
				if _, err := w.client.Open(t.Context(), w.link); err != nil {
					t.Fatal(err)
				}
				w.net.silentDHT = true
				for _, i := range w.rng.Perm(len(w.holders))[:6] {
					w.holders[i].set(gone)
				}
				begun := time.Now()
				if _, err := w.client.Open(t.Context(), w.link); err != nil || time.Since(begun) > 3*time.Second {
					t.Errorf("seed %d, mood %d: after %s: %v", 90+seed, gone, time.Since(begun), err)
				}
			})
		}
	}
}

// TestPointerWithoutItsGroup makes all holders show the pointer's record alone,
// without what proves that it belongs to the link's group.
func TestPointerWithoutItsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 900, middle, 1000, 0)
		w.announce()
		for _, h := range w.holders {
			h.pointerAlone = true
		}
		if _, err := w.client.Open(t.Context(), w.link); !errors.Is(err, ErrNotFound) {
			t.Errorf("open: %v", err)
		}
		if _, err := w.newClient().Health(t.Context(), w.link); !errors.Is(err, ErrNotFound) {
			t.Errorf("health: %v", err)
		}
	})
}

// TestDeletedByHearsay makes members and a stranger say, without proof, that the
// pointer is deleted: the verdict is as if they had no record, never "revoked".
func TestDeletedByHearsay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 902, middle, 1000, 0)
		w.announce()
		by := w.newHolder(77)
		by.saysDeleted = true
		w.net.known = append(w.net.known, by.id)
		w.mustRead(5 * time.Second)
		for _, h := range w.holders {
			h.set(frozen)
		}
		_, err := w.newClient().Open(t.Context(), w.link)
		if errors.Is(err, ErrRevoked) || !errors.Is(err, ErrTooFew) || !strings.Contains(err.Error(), "1 peers say") {
			t.Errorf("a stranger's word, and all members away: %v", err)
		}
		for _, h := range w.holders {
			h.set(healthy)
			h.saysDeleted = true
		}
		if _, err := w.newClient().Open(t.Context(), w.link); errors.Is(err, ErrRevoked) || !errors.Is(err, ErrNotFound) {
			t.Errorf("the word of all: %v", err)
		}
	})
}

// TestDeletedByProof shows the owner's delete of the pointer, and deletes that prove
// nothing: of another subject, by another key, for another group.
func TestDeletedByProof(t *testing.T) {
	other := protocol.PointerID{1}
	for _, tc := range []struct {
		name   string
		del    func(w *world) []byte
		proves bool
	}{
		{"the owner's", func(w *world) []byte { return protocol.SignDelete(w.owner, "test", w.group, w.link.Pointer[:]) }, true},
		{"another pointer's", func(w *world) []byte { return protocol.SignDelete(w.owner, "test", w.group, other[:]) }, false},
		{"by another key", func(w *world) []byte { return protocol.SignDelete(w.pointer, "test", w.group, w.link.Pointer[:]) }, false},
		{"of another group", func(w *world) []byte {
			return protocol.SignDelete(w.owner, "test", protocol.GroupID{1}, w.link.Pointer[:])
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 903, middle, 1000, 0)
				w.announce()
				w.net.latency = 5 * time.Millisecond
				del := tc.del(w)
				w.holders[3].deleted = del
				for _, h := range w.holders[4:] {
					h.set(frozen)
				}
				if _, err := w.newClient().Health(t.Context(), w.link); errors.Is(err, ErrRevoked) != tc.proves {
					t.Errorf("shown by one of four members that answer, health: %v", err)
				}
				for _, h := range w.holders[:3] {
					h.deleted = del
				}
				_, err := w.newClient().Open(t.Context(), w.link)
				if errors.Is(err, ErrRevoked) != tc.proves || err == nil {
					t.Errorf("shown by all: %v", err)
				}
			})
		})
	}
}
