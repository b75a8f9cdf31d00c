package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// PutOptions are a put's settings.
type PutOptions struct {
	Profile  protocol.Profile  // zero: the highest that today's network allows
	Hints    bool              // addresses of members in the link itself
	Wait     time.Duration     // how long missing shards are tried once all is safe
	Progress func(PutProgress) // nil: none; called from one goroutine
}

// Phases of a put.
const (
	PhaseSend    = "send"    // content goes out
	PhasePublish = "publish" // manifest and pointer
	PhaseFill    = "fill"    // safe; the last shards are brought to their holders
)

// PutResult is what became of a put.
type PutResult struct {
	Link     protocol.Link
	Size     int64
	Segments int // content and manifest
	Stored   int // shards of the lowest segment
	Profile  protocol.Profile
	NotSafe  bool // the network is too small for the loss of any node
	Private  bool // every peer counted as a failure domain of its own
	Warnings []string
}

// putter is one put under way. Everything in it belongs to one goroutine;
// lanes report to events.
type putter struct {
	c       *Client
	ctx     context.Context
	opt     PutOptions
	id      putID
	want    wanted
	resumed *unfinished // nil: from the beginning
	draw    draw
	group   *ownGroup
	carrier *carrier
	old     []*carrier // of groups that were left during this put
	builder *builder
	free    []*segmentBuffer
	events  chan event
	flights []*shipment // not settled yet
	placed  []*placement
	told    int   // placed[:told] were reported to the caller: they stay where they are
	total   int64 // of the source; -1: unknown
	read    int64
	sent    int64
	phase   string

	retracts sync.WaitGroup // deletes on their way to members
}

// placement is what a put remembers of a segment once its buffer is gone.
type placement struct {
	group    *ownGroup
	extent   protocol.Extent
	sum      uint32 // checksum of its source, by sumTable
	desc     *protocol.Descriptor
	bytes    []byte // of the descriptor
	acked    []bool
	isSafe   bool
	manifest bool // or a page of one
	dropped  bool // another manifest took its place
}

func (p *placement) stored() (n int) {
	for _, ok := range p.acked {
		if ok {
			n++
		}
	}
	return n
}

// Put stores a source and returns a link to it. When it returns without error
// every segment is safe; PutResult says how full they are. On an error nothing that
// was stored before is lost, and what this put had stored stays in the journal as
// unfinished.
func (c *Client) Put(ctx context.Context, src Source, opt PutOptions) (*PutResult, error) {
	if c.cfg.Owner == nil {
		return nil, fmt.Errorf("put: %w", ErrNoOwner)
	}
	again := rewinder(src)
	var res *PutResult
	for begun := 1; ; begun++ {
		lower := false
		err := c.withPutter(ctx, src.Size, opt, func(p *putter) (err error) {
			res, err = p.run(src)
			lower = p.mayBeginLower(err)
			return err
		})
		if err == nil {
			return res, nil
		}
		if !lower || begun == mostBeginnings || again() != nil {
			return nil, fmt.Errorf("put %q: %w", src.Name, err)
		}
		c.log.Info("nodes that took part do not store: beginning anew with what the others allow", "err", err)
	}
}

// withPutter runs a put of size bytes (-1: unknown) and cleans up after it, whether
// it succeeds or fails.
func (c *Client) withPutter(ctx context.Context, size int64, opt PutOptions, run func(*putter) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &putter{c: c, ctx: ctx, opt: opt, want: wanted{opt.Profile, size}, total: size, phase: PhaseSend}
	if _, err := io.ReadFull(c.rand, p.id[:]); err != nil {
		return fmt.Errorf("draw an ID: %w", err)
	}
	err := run(p)
	p.retracts.Wait()
	cancel()
	p.stopCarriers()
	if err != nil {
		err = errors.Join(err, p.noteSafe(), c.cfg.Owner.abandonPut(p.id, c.now().Unix()))
	}
	return err
}

func (p *putter) run(src Source) (*PutResult, error) {
	if err := p.choose(); err != nil {
		return nil, err
	}
	if err := p.resume(src, p.draw.group.profile); err != nil {
		return nil, err
	}
	if err := p.begin(p.journalled(src)); err != nil {
		return nil, err
	}
	if err := p.sendContent(src); err != nil {
		return nil, err
	}
	if err := src.unchanged(); err != nil {
		return nil, err
	}
	if err := p.proveContent(nil); err != nil {
		return nil, err
	}
	p.phase = PhasePublish
	if err := p.proveRecords(func() error { return p.sendManifest(src) }); err != nil {
		return nil, err
	}
	up, err := p.publish(src)
	if err != nil {
		return nil, err
	}
	up.Stored = p.lowest()
	if err := p.c.cfg.Owner.finishPut(p.id, pointerOf(up), up); err != nil {
		return nil, err
	}
	p.phase = PhaseFill
	p.fill()
	return p.finish(up), nil
}

// choose takes the group that the put begins with: the one of a put just
// before, or what today's network allows.
func (p *putter) choose() (err error) {
	if d, ok := p.c.drawn.get(p.c.now(), p.want); ok {
		p.draw = d
		return nil
	}
	if p.draw, err = p.c.chooseGroup(p.ctx, p.want); err == nil {
		p.c.drawn.set(p.c.now(), p.want, p.draw)
	}
	return err
}

// begin journals the put and starts the lanes.
func (p *putter) begin(state putState) error {
	g := p.draw.group
	state.Profile = g.profile
	err := p.c.cfg.Owner.beginPut(p.id, state)
	if err != nil {
		return err
	}
	p.builder, err = newBuilder(g.profile, p.c.rand)
	if err != nil {
		return err
	}
	flights := inFlight(g.profile)
	for range flights {
		p.free = append(p.free, nil) // made when first used
	}
	p.events = make(chan event, 8*(flights+1)) // more than lanes can ever say before it is read
	p.useGroup(g)
	return nil
}

func (p *putter) useGroup(g *ownGroup) {
	if p.carrier != nil {
		p.old = append(p.old, p.carrier)
	}
	p.group = g
	p.carrier = newCarrier(p.ctx, p.c, g, cap(p.events), p.events)
}

func (p *putter) stopCarriers() {
	for _, f := range p.flights {
		f.cancel(nil)
	}
	for _, k := range append(p.old, p.carrier) {
		if k != nil {
			k.stop()
		}
	}
}

// finish says how the put ended. The link has been in the journal since it was
// published, so failing to note how full the upload is now fails nothing.
func (p *putter) finish(up *uploadState) *PutResult {
	up.Stored = p.lowest()
	ptr := pointerOf(up)
	if err := p.c.cfg.Owner.finishPut(p.id, ptr, up); err != nil {
		p.c.log.Warn("journal how full an upload is", "err", err)
	}
	return &PutResult{
		Link: up.show(ptr).Link, Size: up.Size, Segments: up.Segments, Stored: up.Stored,
		Profile: up.Profile, NotSafe: group.NotSafe(up.Profile), Private: p.draw.private, Warnings: p.draw.warnings,
	}
}

// lowest returns the number of shards stored of the segment that has the fewest.
func (p *putter) lowest() int {
	low := p.group.profile.N
	for i, pl := range p.placed {
		if !pl.dropped {
			low = min(low, p.countAcked(i))
		}
	}
	return low
}
