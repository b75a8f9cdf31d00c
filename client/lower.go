package client

import (
	"errors"
	"io"

	"github.com/cairnstore/cairn/protocol"
)

// mostBeginnings bounds how often one put begins anew, each time with fewer nodes.
const mostBeginnings = 4

// noGroupError says that a put needed another group of its profile and found
// none.
type noGroupError struct{ error }

func (e *noGroupError) Unwrap() error { return e.error }

// mayBeginLower reports whether a put that failed with err can begin anew with the
// profile that the remaining nodes allow: no certain profile was asked for, and
// nothing is safe that would be lost. The nodes that failed it are unfit by then
// (peers.go).
func (p *putter) mayBeginLower(err error) bool {
	var none *noGroupError
	if !errors.As(err, &none) || p.opt.Profile != (protocol.Profile{}) || p.ctx.Err() != nil {
		return false
	}
	for _, pl := range p.placed {
		if pl.isSafe {
			return false
		}
	}
	return true
}

// rewinder returns a function that brings a source back to where it stands now.
func rewinder(src Source) func() error {
	seeker, ok := src.Reader.(io.Seeker)
	if !ok {
		return func() error { return errNoWayBack }
	}
	at, err := seeker.Seek(0, io.SeekCurrent)
	return func() error {
		if err == nil {
			_, err = seeker.Seek(at, io.SeekStart)
		}
		return err
	}
}

var errNoWayBack = errors.New("the source can be read once")
