package protocol

import "sync"

// EnvelopeCache opens envelopes and remembers those that were good: each member
// of a group, and each node that is asked for others, shows the same ones, and
// checking a signature takes longer than the rest of an answer. It may be used by
// many goroutines at the same time.
type EnvelopeCache struct {
	most int

	mu   sync.Mutex
	good map[Hash]PeerRecord // guarded by mu
}

// NewEnvelopeCache returns a cache that remembers at most most envelopes, some
// 2 KiB each. When it is full it forgets them all.
func NewEnvelopeCache(most int) *EnvelopeCache {
	return &EnvelopeCache{most: most, good: make(map[Hash]PeerRecord)}
}

// Open returns what Envelope.Open returns. The record is shared: callers must not
// change its addresses.
func (c *EnvelopeCache) Open(e Envelope) (PeerRecord, error) {
	if len(e) > MaxEnvelope {
		return e.Open()
	}
	sum := Sum(e)
	c.mu.Lock()
	rec, ok := c.good[sum]
	c.mu.Unlock()
	if ok {
		return rec, nil
	}
	rec, err := e.Open()
	if err != nil {
		return rec, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.good) >= c.most {
		clear(c.good)
	}
	c.good[sum] = rec
	return rec, nil
}
