package integration

import (
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// moved is one shard that crossed the network for repair: lent, be it for repair
// or for a node that mends its own, or put.
type moved struct {
	at  time.Time
	put bool
}

// tapped is a stream that a node answers; it counts the shards that cross it. A
// stream carries one exchange after the other.
type tapped struct {
	protocol.Stream
	w     *moving
	asked []byte // the request, at least up to its raw bytes; once answered, still the last one
	told  bool   // the answer has begun
}

// mostAsked bounds a request without the shard behind it.
const mostAsked = 32 << 10

// Read implements protocol.Stream.
func (s *tapped) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	if s.told {
		s.asked, s.told = s.asked[:0], false
	}
	s.asked = append(s.asked, b[:min(n, mostAsked-len(s.asked))]...)
	return n, err
}

// Write implements protocol.Stream.
func (s *tapped) Write(b []byte) (int, error) {
	n, err := s.Stream.Write(b)
	if !s.told && err == nil {
		s.told = true
		if g, put, ok := shardOf(s.asked); ok && b[0] == 0 { // all is well
			s.w.noteMoved(g, put)
		}
	}
	return n, err
}

// shardOf tells which group's shard a request moves, and which way.
func shardOf(asked []byte) (g protocol.GroupID, put, ok bool) {
	const head = 4 // kind, length
	if len(asked) < head {
		return g, false, false
	}
	body := asked[head:]
	body = body[:min(len(body), int(asked[1])<<16|int(asked[2])<<8|int(asked[3]))]
	switch protocol.Kind(asked[0]) {
	case protocol.KindMend:
		r := new(protocol.MendRequest)
		err := protocol.ParseMessage(body, r)
		return r.Group, false, err == nil
	case protocol.KindPut:
		r := new(protocol.PutRequest)
		if protocol.ParseMessage(body, r) != nil {
			return g, true, false
		}
		_, g, err := protocol.ParseGroupRecord(worldNetwork, r.Record)
		return g, true, err == nil
	}
	return g, false, false
}

// noteMoved counts a shard, once the owners are gone.
func (w *moving) noteMoved(g protocol.GroupID, put bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tally.owned {
		w.tally.moved[g] = append(w.tally.moved[g], moved{time.Now(), put})
	}
}
