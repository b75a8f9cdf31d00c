package client

import (
	"errors"
	"fmt"
)

// What can go wrong; callers tell these apart by errors.Is.
var (
	// ErrNoPeers: nobody in the network answers.
	ErrNoPeers = errors.New("no peer of the network answers")
	// ErrTooFew: fewer peers answered than are needed. Nothing is lost.
	ErrTooFew = errors.New("too few answered")
	// ErrNetworkFull: nodes answered, and none of them has room for us.
	ErrNetworkFull = errors.New("the network is full")
	// ErrNoTakers: peers answered, and none of them takes a stranger's data now.
	ErrNoTakers = errors.New("no node takes data")
	// ErrDamaged: enough answered, but the bytes do not fit their hashes.
	ErrDamaged = errors.New("damaged or forged")
	// ErrNotFound: everybody who was found was asked, and nobody has it.
	ErrNotFound = errors.New("not found")
	// ErrExpired: the link's time has passed.
	ErrExpired = errors.New("expired")
	// ErrRevoked: the owner took the link back.
	ErrRevoked = errors.New("revoked")
	// ErrInUse: another process holds the owner's home.
	ErrInUse = errors.New("in use by another process")
	// ErrSourceChanged: the source grew, shrank or was written to while it was read.
	ErrSourceChanged = errors.New("the source changed while it was read")
	// ErrNotOwn: this home did not put it, so it has no key to delete it with.
	ErrNotOwn = errors.New("not put from this home")
	// ErrDeleted: this home has deleted it before, and enough holders know.
	ErrDeleted = errors.New("deleted already")
	// ErrNoJournal: the owner's home has a secret and no journal, or an empty one.
	ErrNoJournal = errors.New("it is gone or empty, beside a secret that is there")
	// ErrNoOwner: the client was made without an owner's home.
	ErrNoOwner = errors.New("this client has no owner's home")
)

// OtherNetworkError says that what was asked for lies in another network than the
// session's, and can only be reached from there.
type OtherNetworkError struct {
	Network string // where it lies
	Here    string // the session's network
}

func (e *OtherNetworkError) Error() string {
	return fmt.Sprintf("of network %q, not %q", e.Network, e.Here)
}
