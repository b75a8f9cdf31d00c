package node

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
	"github.com/cairnstore/cairn/storage"
)

const mb = 1 << 20

// capsWorld donates 1,000 MB, so that a narrow prefix has 50.
func capsWorld(t *testing.T, seed uint64) *world {
	return newWorld(t, seed, func(c *Config) { c.Donated = 1000 * mb })
}

// roomFrom returns what newcomers from an address may still bring, whatever the
// store has free.
func (w *world) roomFrom(addr string) int64 {
	return w.node.quota.Free(quota.SourceOf(at("", addr)), math.MaxInt64, w.clock.now())
}

// underWay returns the bytes that are on their way to the store.
func (w *world) underWay() int64 {
	return math.MaxInt64 - w.node.quota.Free(quota.Local, math.MaxInt64, w.clock.now()) - w.node.quota.Promised()
}

func (o *owner) form(addr string, bytes int64) error {
	_, err := o.w.node.Form(o.w.t.Context(), at(o.client.id, addr), &protocol.FormRequest{Record: o.record, Profile: profile, Bytes: bytes})
	return err
}

func TestFormRefusals(t *testing.T) {
	w := capsWorld(t, 11)
	o := w.newOwner()
	ask := func(r *protocol.FormRequest) error {
		_, err := w.node.Form(t.Context(), at(o.client.id, ""), r)
		return err
	}
	good := protocol.FormRequest{Record: o.record, Profile: profile, Bytes: mb}
	for name, c := range map[string]struct {
		change func(*protocol.FormRequest)
		code   protocol.Code
	}{
		"good":      {func(*protocol.FormRequest) {}, 0},
		"no record": {func(r *protocol.FormRequest) { r.Record = nil }, protocol.CodeMalformed},
		"another network": {func(r *protocol.FormRequest) {
			rec := protocol.NewGroupRecord("other", protocol.PublicKeyOf(o.key), protocol.PublicKeyOf(o.renew), protocol.Hash{}, protocol.Nonce{})
			r.Record, _ = rec.Encode()
		}, protocol.CodeNetwork},
		"bad profile": {func(r *protocol.FormRequest) { r.Profile.K = 0 }, protocol.CodeMalformed},
		"negative":    {func(r *protocol.FormRequest) { r.Bytes = -1 }, protocol.CodeMalformed},
		"too much":    {func(r *protocol.FormRequest) { r.Bytes = 1001 * mb }, protocol.CodeFull},
	} {
		r := good
		c.change(&r)
		wantCode(t, name, ask(&r), c.code)
	}
	for accepts, code := range map[protocol.Accepts]protocol.Code{
		protocol.AcceptsVouchers: protocol.CodeVoucher, protocol.AcceptsNobody: protocol.CodeFull,
	} {
		w.cfg.Accepts = accepts
		w.restart()
		wantCode(t, string(accepts), ask(&good), code)
		if _, err := w.newOwner().offer(at(o.client.id, ""), o.founding()...); err == nil {
			t.Errorf("%s: a new group was taken", accepts)
		}
	}
}

func TestReservations(t *testing.T) {
	w := capsWorld(t, 12)
	const here, neighbour, afar = "/ip4/203.0.113.1/tcp/1", "/ip4/203.0.113.200/tcp/1", "/ip4/198.51.100.1/tcp/1"
	a, b := w.newOwner(), w.newOwner()
	wantCode(t, "first", a.form(here, 30*mb), 0)
	wantCode(t, "again", a.form(here, 30*mb), 0)
	if got := w.node.quota.Promised(); got != 30*mb {
		t.Fatalf("%d bytes promised", got)
	}
	wantCode(t, "neighbour", b.form(neighbour, 21*mb), protocol.CodeCapped)
	wantCode(t, "neighbour, less", b.form(neighbour, 20*mb), 0)
	wantCode(t, "afar", w.newOwner().form(afar, 50*mb), 0)
	wantCode(t, "private", w.newOwner().form("", 800*mb), 0)
	wantCode(t, "private, too much", w.newOwner().form("", 200*mb), protocol.CodeFull)
	info, err := w.node.Info(t.Context(), at(a.client.id, here), nil)
	if err != nil || info.Free != 0 {
		t.Errorf("the full prefix is told of %d free bytes: %v", info.Free, err)
	}
	w.clock.step(time.Hour + time.Second)
	wantCode(t, "after an hour", w.newOwner().form(here, 50*mb), 0)
	if err := w.node.upkeepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if promised, free := w.node.quota.Promised(), w.roomFrom(here); promised != 50*mb || free != 0 {
		t.Errorf("%d bytes promised, %d free", promised, free)
	}
}

func TestReservationsAreCounted(t *testing.T) {
	w := capsWorld(t, 13)
	const here = "/ip4/203.0.113.1/tcp/1"
	for range w.node.cfg.Caps.Reservations {
		wantCode(t, "within the bound", w.newOwner().form(here, 0), 0)
	}
	wantCode(t, "beyond", w.newOwner().form(here, 0), protocol.CodeCapped)
	wantCode(t, "others", w.newOwner().form("/ip4/203.0.114.1/tcp/1", 0), 0)
}

func TestPutUsesItsReservation(t *testing.T) {
	w := capsWorld(t, 14)
	const here, elsewhere = "/ip4/203.0.113.1/tcp/1", "/ip4/198.51.100.1/tcp/1"
	o := w.newOwner()
	wantCode(t, "form", o.form(here, 2*mb), 0)
	if _, err := o.offer(at(o.client.id, elsewhere), o.founding()...); err != nil {
		t.Fatal(err)
	}
	promised := w.node.quota.Promised()
	s := o.newSegment(mb)
	if err := o.put(at(o.client.id, elsewhere), s); err != nil {
		t.Fatal(err)
	}
	used := promised - w.node.quota.Promised()
	if cost := shardCost(s.desc.ShardSize, profile.N); used < cost || used > cost+2000 {
		t.Errorf("a shard of %d bytes used %d of the reservation", s.desc.ShardSize, used)
	}
	if charged := 50*mb - w.roomFrom(elsewhere); charged != 0 {
		t.Errorf("who brought the facts is charged %d, not who brought the record", charged)
	}
	if charged := 50*mb - w.roomFrom(here); charged != 2*mb+quota.GroupCharge {
		t.Errorf("who brought the record is charged %d", charged)
	}
	w.restart()
	if charged := 50*mb - w.roomFrom(here); charged < quota.GroupCharge+s.desc.ShardSize {
		t.Errorf("after a restart who brought the record is charged %d", charged)
	}
}

// fill stores shards of a group until the node refuses, and returns the bytes.
func (o *owner) fill(addr string, most int64) (stored int64, err error) {
	if _, err := o.offer(at(o.client.id, addr), o.founding()...); err != nil {
		return 0, err
	}
	for stored < most {
		s := o.newSegment(2 * mb)
		if err := o.put(at(o.client.id, addr), s); err != nil {
			return stored, err
		}
		stored += s.desc.ShardSize
	}
	return stored, nil
}

func TestCapsOfNewcomers(t *testing.T) {
	const donated = 100 * mb
	w := newWorld(t, 15, func(c *Config) { c.Donated = donated })
	check := func(what string, stored int64, err error, want int64) {
		t.Helper()
		wantCode(t, what, err, protocol.CodeCapped)
		if stored > want*mb || stored < (want-2)*mb {
			t.Errorf("%s: %d MB stored, want about %d", what, stored/mb, want)
		}
	}
	old := w.newOwner()
	stored, err := old.fill("/ip4/203.0.113.1/tcp/1", donated)
	check("one /24", stored, err, 5)
	var wide int64
	for i := range 8 {
		stored, err = w.newOwner().fill(fmt.Sprintf("/ip4/203.0.%d.1/tcp/1", i), donated)
		wide += stored
	}
	check("one /16", wide+5*mb, err, 20)
	var all int64
	for i := range 15 {
		stored, err = w.newOwner().fill(fmt.Sprintf("/ip4/198.%d.0.1/tcp/1", i), donated)
		all += stored
	}
	check("all newcomers", all+20*mb, err, 50)
	if _, err := w.newOwner().fill("", 10*mb); err != nil {
		t.Errorf("a private address is capped: %v", err)
	}
	w.clock.step(w.node.cfg.Caps.Young)
	if err := w.node.upkeepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stored, err = old.fill("/ip4/203.0.113.1/tcp/1", 10*mb); err != nil {
		t.Errorf("a group of 30 days stores %d MB: %v", stored/mb, err)
	}
	if free := w.roomFrom("/ip4/203.0.113.1/tcp/1"); free != 5*mb {
		t.Errorf("%d bytes are free for newcomers after 30 days", free)
	}
	w.restart()
	if free := w.roomFrom("/ip4/203.0.113.1/tcp/1"); free != 5*mb {
		t.Errorf("a restart makes old groups newcomers: %d bytes are free", free)
	}
}

func TestManyEmptyGroupsAreCapped(t *testing.T) {
	w := newWorld(t, 16, func(c *Config) { c.Donated = 100 * mb; c.Caps.Groups = 10 })
	const here = "/ip4/203.0.113.1/tcp/1"
	for i := range 11 {
		o := w.newOwner()
		_, err := o.offer(at(o.client.id, here), o.founding()...)
		var want protocol.Code
		if i == 10 {
			want = protocol.CodeCapped
		}
		wantCode(t, fmt.Sprint("group ", i), err, want)
	}
	if n := w.store.Usage().Groups; n != 10 {
		t.Errorf("%d groups are held", n)
	}
}

// The shards of a group that has been here for long are charged to nobody. But what is
// promised to it is charged to the source that asks, and is no more than its members
// can keep: otherwise a group of a few kilobytes could keep everybody out.
func TestOldGroupReservesLikeANewcomer(t *testing.T) {
	w := capsWorld(t, 902)
	const here, afar = "/ip4/203.0.113.1/tcp/1", "/ip4/198.51.100.1/tcp/1"
	o := w.newOwner()
	if _, err := o.offer(at(o.client.id, here), o.founding()...); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "young", o.form(here, 60*mb), protocol.CodeCapped)
	w.clock.step(31 * day)
	if err := w.node.upkeepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "old, more than its asker's share", o.form(here, 990*mb), protocol.CodeCapped)
	wantCode(t, "old, within its asker's share", o.form(afar, 40*mb), 0)
	if room := w.roomFrom(afar); room != 10*mb {
		t.Errorf("who asked for an old group may bring %d bytes", room)
	}
	before := w.node.quota.Used(o.id)
	o.mustPut(o.newSegment(mb))
	if used, promised := w.node.quota.Used(o.id)-before, w.node.quota.Promised(); promised != 40*mb-used || w.roomFrom(afar) != 10*mb+used {
		t.Errorf("of 40 MB %d are promised, and %d were put", promised, used)
	}
}

func TestReservationsAreBoundedByTheProfile(t *testing.T) {
	w := newWorld(t, 903, func(c *Config) {
		c.Donated = 10_000 * mb
		c.Store = storage.NewMemory(storage.Config{Quota: c.Donated})
	})
	most := group.ShareOf(profile, group.MaxBytes(profile))
	o := w.newOwner()
	wantCode(t, "form", o.form("", 9_000*mb), 0)
	if got := w.node.quota.Promised(); got != most {
		t.Errorf("%d bytes are promised, of which a member can keep %d", got, most)
	}
}

// A clock that was a year ahead and was set back keeps no reservation, and none made
// later, beyond its time.
func TestReservationsAfterClockWasAhead(t *testing.T) {
	w := capsWorld(t, 906)
	w.clock.step(365 * day)
	wantCode(t, "while the clock is ahead", w.newOwner().form("/ip4/203.0.113.1/tcp/1", 30*mb), 0)
	w.clock.step(-365 * day)
	wantCode(t, "the same prefix, after that", w.newOwner().form("/ip4/203.0.113.1/tcp/1", 50*mb), 0)
	for i := range 10 {
		w.clock.step(3 * day)
		wantCode(t, "later", w.newOwner().form(fmt.Sprintf("/ip4/20.%d.0.1/tcp/1", i), 40*mb), 0)
		if got := w.node.quota.Promised(); got != 40*mb {
			t.Fatalf("after %d days %d MB are promised", 3*(i+1), got/mb)
		}
	}
}
