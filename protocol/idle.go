package protocol

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Streams that are kept open between requests: how many to one peer, and for
// how long. The answering side gives up an idle stream later than this.
const (
	maxIdleStreams = 8
	idleLife       = time.Minute
)

type idleStream struct {
	Stream
	since time.Time
}

// take returns the idle stream to a peer that was used last, or nil.
func (c *Caller) take(to peer.ID) Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.idle[to]
	for len(list) > 0 {
		last := list[len(list)-1]
		list = list[:len(list)-1]
		c.idle[to] = list
		if time.Since(last.since) < idleLife && !c.detour(last) {
			return last.Stream
		}
		go func() { _ = last.Close() }()
	}
	delete(c.idle, to)
	return nil
}

// detour reports whether a stream leads through a relay to a peer that is
// connected directly by now.
func (c *Caller) detour(s Stream) bool {
	r := s.Remote()
	if !r.Relayed {
		return false
	}
	_, relayed, connected := c.net.RemoteAddr(r.Peer)
	return connected && !relayed
}

// keep makes s the idle stream that is taken next, or closes it if there are enough.
func (c *Caller) keep(s Stream) {
	to := s.Remote().Peer
	c.mu.Lock()
	list := c.idle[to]
	if len(list) < maxIdleStreams {
		c.idle[to] = append(list, idleStream{s, time.Now()})
		s = nil
	}
	old := c.sweep(time.Now())
	c.mu.Unlock()
	if s != nil {
		_ = s.Close()
	}
	for _, o := range old {
		_ = o.Close()
	}
}

// sweep takes out the streams that have been idle for too long, once in an idleLife:
// those of peers that are never asked again must not pile up. The caller holds mu.
func (c *Caller) sweep(now time.Time) (old []idleStream) {
	if now.Sub(c.swept) < idleLife {
		return nil
	}
	c.swept = now
	for id, list := range c.idle {
		n := 0 // streams of this peer that are too old; newest last
		for n < len(list) && now.Sub(list[n].since) >= idleLife {
			n++
		}
		old = append(old, list[:n]...)
		if n == len(list) {
			delete(c.idle, id)
		} else {
			c.idle[id] = list[n:]
		}
	}
	return old
}

// keepAfter keeps s after a refusal, unless the peer may end the stream with that
// refusal.
func (c *Caller) keepAfter(s Stream, code Code) {
	if code == CodeMalformed || code == CodeVersion {
		_ = s.Close()
		return
	}
	c.keep(s)
}
