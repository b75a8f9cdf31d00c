package node

import (
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// reserve promises bytes to a group for as long as the caps say and returns
// until when. Asked again for the same group it keeps the greater number and
// starts the time anew. It refuses with CodeFull or CodeCapped.
func (l *ledger) reserve(g protocol.GroupID, from source, bytes, free int64, now time.Time) (time.Time, error) {
	return l.reserveFor(l.caps.Reservation, g, from, bytes, free, now)
}

// reserveFor is reserve for a time.
func (l *ledger) reserveFor(d time.Duration, g protocol.GroupID, from source, bytes, free int64, now time.Time) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(now)
	until := now.Add(d)
	r := l.reserved[g]
	if r == nil {
		r = &reservation{from: l.chargedTo(g, from)}
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
	l.promised += more
	l.charge(r.from, portion{bytes: more, reservations: first})
	return until, nil
}

// chargedTo returns whom a group's bytes are charged to: the first who brought
// it while it is young, nobody later. mu is held.
func (l *ledger) chargedTo(g protocol.GroupID, from source) source {
	a := l.groups[g]
	switch {
	case a == nil:
		return from
	case a.aged:
		return local
	}
	return a.from
}

// mayReserve bounds how many reservations there are. mu is held.
func (l *ledger) mayReserve(from source) error {
	if len(l.reserved) >= maxReservations {
		return protocol.Refuse(protocol.CodeCapped, "%d reservations are open", len(l.reserved))
	}
	if !from.exempt() && l.portionOf(from).reservations >= l.caps.Reservations {
		return protocol.Refuse(protocol.CodeCapped, "%d reservations from your addresses are open", l.caps.Reservations)
	}
	return nil
}

// found opens the account of a group that is new here, charged to who reserved
// for it or else to who brings it now. It returns whom.
func (l *ledger) found(g protocol.GroupID, from source, now time.Time) (source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.groups[g]; a != nil {
		return a.from, nil
	}
	l.expire(now)
	if r := l.reserved[g]; r != nil {
		from = r.from
	}
	if !from.exempt() && l.portionOf(from).groups >= l.caps.Groups {
		return from, protocol.Refuse(protocol.CodeCapped, "%d new groups from your addresses are held", l.caps.Groups)
	}
	if l.room(from) < groupCharge {
		return from, protocol.Refuse(protocol.CodeCapped, "newcomers from your addresses have filled their share")
	}
	l.groups[g] = &account{from: from, seen: now}
	l.charge(from, portion{bytes: groupCharge, groups: 1})
	return from, nil
}

// unfound takes found back, where the store did not keep the group.
func (l *ledger) unfound(g protocol.GroupID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.groups[g]
	if a == nil {
		return
	}
	delete(l.groups, g)
	if !a.aged {
		l.charge(a.from, portion{bytes: -a.used - groupCharge, groups: -1})
	}
}

// has reports whether a group has an account.
func (l *ledger) has(g protocol.GroupID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.groups[g] != nil
}

// admission is room for bytes that are on their way to the store. Exactly one
// of stored and dropped ends it.
type admission struct {
	l          *ledger
	group      protocol.GroupID
	bytes      int64
	fromPledge int64 // taken out of the group's reservation
}

// admit makes room for bytes of a group that has an account, out of its
// reservation first. It refuses with CodeFull or CodeCapped.
func (l *ledger) admit(g protocol.GroupID, bytes, free int64, now time.Time) (*admission, error) {
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
	if from := l.chargedTo(g, a.from); more > l.room(from) {
		return nil, protocol.Refuse(protocol.CodeCapped, "newcomers from your addresses may bring %d bytes more", l.room(from))
	}
	l.pledge(r, -pledge)
	l.use(a, bytes)
	l.inFlight += bytes
	return &admission{l, g, bytes, pledge}, nil
}

// pledge changes what a reservation promises. mu is held.
func (l *ledger) pledge(r *reservation, bytes int64) {
	if r == nil {
		return
	}
	r.bytes += bytes
	l.promised += bytes
	l.charge(r.from, portion{bytes: bytes})
}

// stored ends the admission of bytes that the store has.
func (a *admission) stored() {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.l.inFlight -= a.bytes
}

// dropped ends the admission of bytes that never came to the store.
func (a *admission) dropped() {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.l.inFlight -= a.bytes
	if acc := a.l.groups[a.group]; acc != nil {
		a.l.use(acc, -a.bytes)
	}
	a.l.pledge(a.l.reserved[a.group], a.fromPledge)
}
