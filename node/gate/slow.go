package gate

import (
	"context"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// CrowdedRate is what a peer must keep up, in bytes a second, once others wait
// for the memory that its shard takes. The norm's own least rate is a
// sixteenth of it: a node that is not crowded tolerates slow peers. A node whose
// donor set a rate slows its peers down itself, and so demands less of them
// (line.Slowest).
const (
	CrowdedRate  = 16 * protocol.MinRate
	crowdedGrace = 10 * time.Second // before that
)

// hold is memory that one request has taken: to receive a shard, or until one
// is sent.
type hold struct {
	late time.Time // from when on it may be taken away if others wait
	cut  func()    // ends the request
}

type cutKey struct{}

// WithCut gives ctx the function that ends a request under it from outside.
func WithCut(ctx context.Context, cut func()) context.Context {
	return context.WithValue(ctx, cutKey{}, cut)
}

// hold notes that a request has taken n bytes.
func (d *Gate) hold(ctx context.Context, n int64) *hold {
	cut, _ := ctx.Value(cutKey{}).(func())
	h := &hold{late: d.now().Add(crowdedGrace + time.Duration(n)*time.Second/time.Duration(d.slowest)), cut: cut}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holds[h] = struct{}{}
	return h
}

func (d *Gate) unhold(h *hold) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.holds, h)
}

// relieve ends the request that has been late for longest, if one is late.
func (d *Gate) relieve() {
	now := d.now()
	d.mu.Lock()
	var latest *hold
	for h := range d.holds {
		if h.cut != nil && !h.late.After(now) && (latest == nil || h.late.Before(latest.late)) {
			latest = h
		}
	}
	if latest != nil {
		delete(d.holds, latest) // it is on its way out
	}
	d.mu.Unlock()
	if latest != nil {
		latest.cut()
	}
}
