package p2p

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multistream"

	"github.com/cairnstore/cairn/protocol"
)

// unreachable says in a few words why a peer cannot be spoken to. The log has
// the outcome of each of its addresses, some lines of text.
type unreachable struct {
	peer  peer.ID
	cause error
}

// Error names the peer and the reason, where it is a common one.
func (u *unreachable) Error() string {
	text := "open stream to " + protocol.ShortPeer(u.peer) + ": " + protocol.ErrUnreachable.Error()
	if why := whyUnreachable(u.cause); why != "" {
		text += ": " + why
	}
	return text
}

// Unwrap returns protocol.ErrUnreachable and the cause.
func (u *unreachable) Unwrap() []error { return []error{protocol.ErrUnreachable, u.cause} }

// whyUnreachable returns the reason that says the most, out of those of all
// addresses; "" if none is common.
func whyUnreachable(err error) string {
	var (
		other multistream.ErrNotSupported[string]
		late  net.Error
	)
	switch {
	case errors.Is(err, swarm.ErrNoAddresses), errors.Is(err, swarm.ErrNoGoodAddresses):
		return "no address to dial"
	case errors.As(err, &other):
		return "it does not speak our protocol"
	case errors.Is(err, errCarriesLittle):
		return errCarriesLittle.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &late) && late.Timeout():
		return "no answer in time"
	}
	return ""
}
