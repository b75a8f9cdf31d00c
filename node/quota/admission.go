package quota

import (
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// Reserve promises bytes to a group for as long as the caps say and returns
// until when. Called again for the same group it keeps the greater number and
// starts the time anew. It refuses with CodeFull or CodeCapped.
func (l *Ledger) Reserve(g protocol.GroupID, from Source, bytes, free int64, now time.Time) (time.Time, error) {
	return l.ReserveFor(l.caps.Reservation, g, from, bytes, free, now)
}

// ReserveFor is Reserve for a time d, instead of the caps'.
func (l *Ledger) ReserveFor(d time.Duration, g protocol.GroupID, from Source, bytes, free int64, now time.Time) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(now)
	until := now.Add(d)
	r := l.reserved[g]
	if r == nil {
		r = &reservation{from: l.reservedBy(g, from)}
		if err := l.mayReserve(r.from); err != nil {
			return until, err
		}
	}
	more := max(0, bytes-r.bytes)
	if more > free-l.promised-l.inFlight {
		return until, protocol.Refuse(protocol.CodeFull, "%d bytes are free", max(0, free-l.promised-l.inFlight))
	}
	if more > l.room(r.from) {
		return until, protocol.Refuse(protocol.CodeCapped, "newcomers from your addresses may bring %d bytes more", l.room(r.from))
	}
	first := 0
	if l.reserved[g] == nil {
		first = 1
		l.reserved[g] = r
	}
	r.bytes += more
	r.until = until
	l.longest = max(l.longest, d)
	if until.Before(l.expires) {
		l.expires = until
	}
	l.promised += more
	l.charge(r.from, portion{bytes: more, reservations: first})
	return until, nil
}

// reservedBy returns the source that a group's reservation is charged to: while the
// group is young the one that brought it, else the one that asks. The shards of an
// old group are charged to nobody, because they are really here; but a mere promise
// keeps others out, and costs only a few bytes to ask for. mu is held.
func (l *Ledger) reservedBy(g protocol.GroupID, from Source) Source {
	if a := l.groups[g]; a != nil && !a.aged {
		return a.from
	}
	return from
}

// mayReserve bounds how many reservations there are. mu is held.
func (l *Ledger) mayReserve(from Source) error {
	if len(l.reserved) >= maxReservations {
		return protocol.Refuse(protocol.CodeCapped, "%d reservations are open", len(l.reserved))
	}
	if !from.Exempt() && l.portionOf(from).reservations >= l.caps.Reservations {
		return protocol.Refuse(protocol.CodeCapped, "%d reservations from your addresses are open", l.caps.Reservations)
	}
	return nil
}

// Found opens the account of a group that is new here, charged to the source that
// reserved for it, or else to the one that brings it now. It returns that source.
func (l *Ledger) Found(g protocol.GroupID, from Source, now time.Time) (Source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.groups[g]; a != nil {
		return a.from, nil
	}
	l.expire(now)
	if r := l.reserved[g]; r != nil {
		from = r.from
	}
	if !from.Exempt() && l.portionOf(from).groups >= l.caps.Groups {
		return from, protocol.Refuse(protocol.CodeCapped, "%d new groups from your addresses are held", l.caps.Groups)
	}
	if l.room(from) < GroupCharge {
		return from, protocol.Refuse(protocol.CodeCapped, "newcomers from your addresses have filled their share")
	}
	l.groups[g] = &account{from: from, seen: now}
	l.charge(from, portion{bytes: GroupCharge, groups: 1})
	return from, nil
}

// Unfound takes Found back, where the store did not keep the group.
func (l *Ledger) Unfound(g protocol.GroupID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.groups[g]
	if a == nil {
		return
	}
	delete(l.groups, g)
	if !a.aged {
		l.charge(a.from, portion{bytes: -a.used - GroupCharge, groups: -1})
	}
}

// Has reports whether a group has an account.
func (l *Ledger) Has(g protocol.GroupID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.groups[g] != nil
}

// Admission is room for bytes that are on their way to the store. Exactly one
// of Stored and Dropped ends it.
type Admission struct {
	l          *Ledger
	group      protocol.GroupID
	Bytes      int64
	fromPledge int64 // taken out of the group's reservation
}

// Admit makes room for bytes of a group that has an account, out of its
// reservation first. It refuses with CodeFull or CodeCapped.
func (l *Ledger) Admit(g protocol.GroupID, bytes, free int64, now time.Time) (*Admission, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.groups[g]
	if a == nil {
		return nil, protocol.Refuse(protocol.CodeUnknown, "group %s has no account", g.Prefix())
	}
	l.expire(now)
	var pledge int64
	r := l.reserved[g]
	if r != nil {
		pledge = min(r.bytes, bytes)
	}
	more := bytes - pledge
	if bytes > free-(l.promised-pledge)-l.inFlight {
		return nil, protocol.Refuse(protocol.CodeFull, "%d bytes are free", max(0, free-l.promised-l.inFlight))
	}
	if !a.aged && more > l.room(a.from) {
		return nil, protocol.Refuse(protocol.CodeCapped, "newcomers from your addresses may bring %d bytes more", l.room(a.from))
	}
	l.pledge(r, -pledge)
	l.use(a, bytes)
	l.inFlight += bytes
	return &Admission{l, g, bytes, pledge}, nil
}

// pledge changes what a reservation promises. mu is held.
func (l *Ledger) pledge(r *reservation, bytes int64) {
	if r == nil {
		return
	}
	r.bytes += bytes
	l.promised += bytes
	l.charge(r.from, portion{bytes: bytes})
}

// Stored ends the admission of bytes that the store has.
func (a *Admission) Stored() {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.l.inFlight -= a.Bytes
}

// Dropped ends the admission of bytes that the store did not get.
func (a *Admission) Dropped() {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.l.inFlight -= a.Bytes
	if acc := a.l.groups[a.group]; acc != nil {
		a.l.use(acc, -a.Bytes)
	}
	a.l.pledge(a.l.reserved[a.group], a.fromPledge)
}
