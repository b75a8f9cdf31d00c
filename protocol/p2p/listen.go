package p2p

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// ErrPortTaken says that another program has the port to listen at.
var ErrPortTaken = errors.New("port is taken")

// windowsInUse is what Windows says of a port that is taken (WSAEADDRINUSE).
const windowsInUse = syscall.Errno(10048)

// listen opens the addresses. If one port is taken it fails: a node that listens
// on half of its ports looks healthy and is not. Addresses for which the machine
// has no network (often IPv6) are skipped, as long as one address is left.
func (h *Host) listen() error {
	var failed error
	heard := 0
	for _, a := range h.cfg.Listen {
		err := h.listenOne(a)
		switch {
		case err == nil:
			heard++
		case errors.Is(err, ErrPortTaken):
			return err
		default:
			failed = errors.Join(failed, err)
			h.log.Info("cannot listen", "addr", a, "error", err)
		}
	}
	if heard == 0 {
		return failed
	}
	return nil
}

func (h *Host) listenOne(a multiaddr.Multiaddr) error {
	if err := h.cfg.probe(a); err != nil {
		return fmt.Errorf("listen at %s: %w", a, err)
	}
	if err := h.host.Network().Listen(a); err != nil {
		if taken(err) {
			err = ErrPortTaken
		}
		return fmt.Errorf("listen at %s: %w", a, err)
	}
	return nil
}

// PortFree returns ErrPortTaken where a Host could not listen at an address
// because of another program, and nil where it could.
func PortFree(a multiaddr.Multiaddr) error { return probe(a) }

// probe opens and closes the port in the plain way. libp2p shares ports
// between processes of one user (SO_REUSEPORT), so a second node at a port
// would start without an error and then get every other connection.
func probe(a multiaddr.Multiaddr) error {
	base, _ := multiaddr.SplitFunc(a, func(c multiaddr.Component) bool { return c.Protocol().Code == multiaddr.P_QUIC_V1 })
	network, at, err := manet.DialArgs(base)
	if err != nil || port(a) == "0" {
		return err
	}
	var open interface{ Close() error }
	switch network {
	case "tcp4", "tcp6":
		open, err = net.Listen(network, at)
	case "udp4", "udp6":
		open, err = net.ListenPacket(network, at)
	default:
		return fmt.Errorf("%s is neither TCP nor UDP", network)
	}
	if err != nil {
		if taken(err) {
			return ErrPortTaken
		}
		return err
	}
	return open.Close()
}

func taken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, windowsInUse)
}
