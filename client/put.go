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

// Source is what is put.
type Source struct {
	Reader io.Reader
	Name   string    // base name of the file
	Size   int64     // bytes; -1: unknown
	MTime  time.Time //
	Path   string    // where it was a file: for the journal
	Inode  uint64    // likewise
}

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

// PutProgress says how far a put is.
type PutProgress struct {
	Phase     string
	Read      int64 // bytes of the source
	Total     int64 // of them; -1: unknown
	Sent      int64 // shard bytes acknowledged
	SentTotal int64 // what crosses the line in all, as far as known; -1: unknown
	Segments  int   // begun
	Safe      int   // of them
	Stored    int   // shards of the lowest safe segment
	Profile   protocol.Profile
}

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

// inFlight bounds how many segments are in memory at once: as many as fit in
// flightMemory, two at least, so that one is sent while the next is coded.
const (
	flightMemory = 100 << 20
	mostInFlight = 6
)

func inFlight(p protocol.Profile) int {
	one := protocol.SegmentSize(p.K) / int64(p.K) * int64(p.N)
	return int(min(max(flightMemory/one, 2), mostInFlight))
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
// every segment is safe; PutResult says whether all are full. On an error
// nothing that was stored before is lost, and what this put had stored stays
// in the journal as unfinished.
func (c *Client) Put(ctx context.Context, src Source, opt PutOptions) (*PutResult, error) {
	if c.cfg.Owner == nil {
		return nil, errors.New("put: this client has no owner's home")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &putter{c: c, ctx: ctx, opt: opt, want: wanted{opt.Profile, src.Size}, total: src.Size, phase: PhaseSend}
	if _, err := io.ReadFull(c.rand, p.id[:]); err != nil {
		return nil, fmt.Errorf("put %q: %w", src.Name, err)
	}
	res, err := p.run(src)
	p.retracts.Wait()
	cancel()
	p.stopCarriers()
	if err != nil {
		err = errors.Join(err, p.noteSafe(), c.cfg.Owner.abandonPut(p.id))
		return nil, fmt.Errorf("put %q: %w", src.Name, err)
	}
	return res, nil
}

// noteSafe journals what became safe without having been heard of, for whoever
// resumes.
func (p *putter) noteSafe() error {
	for {
		select {
		case ev := <-p.events:
			if ev.state != safe {
				continue
			}
			if err := p.handle(ev); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

func (p *putter) run(src Source) (*PutResult, error) {
	d, err := p.c.chooseGroup(p.ctx, p.want)
	if err != nil {
		return nil, err
	}
	p.draw = d
	if err := p.resume(src, d.group.profile); err != nil {
		return nil, err
	}
	if err := p.begin(src, d.group); err != nil {
		return nil, err
	}
	if err := p.sendContent(src); err != nil {
		return nil, err
	}
	if err := p.proveContent(nil); err != nil {
		return nil, err
	}
	p.phase = PhasePublish
	if err := p.proveManifest(src); err != nil {
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

// begin journals the put and starts the lanes.
func (p *putter) begin(src Source, g *ownGroup) error {
	state := p.journalled(src)
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

// send cuts a reader into segments and ships them.
func (p *putter) send(src io.Reader, manifest bool) error {
	for {
		buf, err := p.takeBuffer()
		if err != nil {
			return err
		}
		s, err := p.builder.build(p.ctx, src, buf)
		if err != nil || s == nil {
			p.free = append(p.free, buf)
			return err
		}
		p.read += s.plain
		if err := p.ship(s, manifest); err != nil {
			return err
		}
	}
}

// ship grants a segment and sends it to the group, or to the next one where
// this one is full.
func (p *putter) ship(s *segment, manifest bool) error {
	if !p.group.hasRoom() {
		if err := p.nextGroup(); err != nil {
			return err
		}
	}
	index := len(p.placed)
	p.placed = append(p.placed, &placement{
		group: p.group, extent: s.extent(p.group.id), desc: s.desc, bytes: s.bytes,
		acked: make([]bool, p.group.profile.N), manifest: manifest,
	})
	return p.launch(s, index, nil)
}

func (p *putter) launch(s *segment, index int, have []bool) error {
	grant, err := p.group.grant(s)
	if err != nil {
		return err
	}
	f := p.carrier.ship(s, grant, have)
	f.index = index
	p.flights = append(p.flights, f)
	p.report()
	return nil
}

// nextGroup forms another group of the same profile: what is coded already
// fits no other.
func (p *putter) nextGroup() error {
	w := p.want
	w.profile = p.group.profile
	if p.total >= 0 {
		w.size = max(0, p.total-p.read) + protocol.SegmentSize(p.group.profile.K)
	}
	d, err := p.c.chooseGroup(p.ctx, w)
	if err != nil {
		return err
	}
	p.useGroup(d.group)
	return nil
}

// takeBuffer waits for a free buffer. While it waits, shipments that are safe
// and overdue are cut: a slow holder stops nobody.
func (p *putter) takeBuffer() (*segmentBuffer, error) {
	tick := time.NewTicker(cutEvery)
	defer tick.Stop()
	for len(p.free) == 0 {
		select {
		case ev := <-p.events:
			if err := p.handle(ev); err != nil {
				return nil, err
			}
		case <-tick.C:
			p.cutOverdue()
		case <-p.ctx.Done():
			return nil, context.Cause(p.ctx)
		}
	}
	for { // what has happened meanwhile
		select {
		case ev := <-p.events:
			if err := p.handle(ev); err != nil {
				return nil, err
			}
			continue
		default:
		}
		break
	}
	buf := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	if buf == nil {
		buf = newSegmentBuffer(p.builder.profile)
	}
	return buf, nil
}

const cutEvery = 100 * time.Millisecond

func (p *putter) cutOverdue() {
	now := p.c.now()
	for _, f := range p.flights {
		if f.overdue(now) {
			f.cancel(errOverdue)
		}
	}
}

// handle acts on what happened to a shipment.
func (p *putter) handle(ev event) error {
	defer p.report()
	place := p.placed[ev.index]
	switch ev.state {
	case safe:
		if place.extent.Segment != ev.id {
			return nil // of a place that was left since
		}
		place.isSafe = true
		if place.manifest {
			return nil // made anew by whoever resumes
		}
		return p.c.cfg.Owner.markSafe(p.id, ev.index, &safeState{Extent: place.extent, Descriptor: place.bytes, Acked: ev.acks()})
	case hopeless:
		return p.moveOn(ev.shipment)
	case settled:
		p.land(ev.shipment)
	}
	return nil
}

// land takes a settled shipment out of the air.
func (p *putter) land(s *shipment) {
	place := p.placed[s.index]
	p.forget(s)
	s.cancel(nil)
	if s.moved {
		return // to another group, its buffer with it
	}
	p.free = append(p.free, s.buf)
	if place.extent.Segment != s.id {
		return // the segment was made again, and is elsewhere
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(place.acked, s.acked)
	p.sent += int64(s.stored-s.had) * s.desc.ShardSize
}

// awaitSafe waits until every segment is safe.
func (p *putter) awaitSafe() error {
	tick := time.NewTicker(cutEvery)
	defer tick.Stop()
	for !p.allSafe() {
		select {
		case ev := <-p.events:
			if err := p.handle(ev); err != nil {
				return err
			}
		case <-tick.C:
			p.cutOverdue()
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
	return nil
}

func (p *putter) allSafe() bool {
	for _, pl := range p.placed {
		if !pl.isSafe && !pl.dropped {
			return false
		}
	}
	return true
}

func (p *putter) report() {
	if p.opt.Progress == nil {
		return
	}
	pr := PutProgress{
		Phase: p.phase, Read: p.read, Total: p.total, Sent: p.sent, SentTotal: -1,
		Segments: len(p.placed), Profile: p.group.profile, Stored: p.group.profile.N,
	}
	for _, f := range p.flights {
		_, _, stored := f.state()
		pr.Sent += int64(stored) * f.desc.ShardSize
	}
	for _, pl := range p.placed {
		if pl.isSafe {
			pr.Safe++
			pr.Stored = min(pr.Stored, max(pl.stored(), group.SafeAt(p.group.profile)))
		}
	}
	if p.total >= 0 {
		pr.SentTotal = p.total * int64(p.group.profile.N) / int64(p.group.profile.K)
	}
	p.opt.Progress(pr)
}

// finish says how the put ended. The link is in the journal since it was
// published; what was filled since is a detail.
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

// lowest returns the shards of the segment that has the fewest.
func (p *putter) lowest() int {
	low := p.group.profile.N
	for i, pl := range p.placed {
		if !pl.dropped {
			low = min(low, p.countAcked(i))
		}
	}
	return low
}

// exactReader turns a source of known size that shrinks or grows into an
// error, and wraps read errors so that they are told from network errors.
type exactReader struct {
	r    io.Reader
	size int64 // -1: unknown
	n    int64
}

func (e *exactReader) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	e.n += int64(n)
	switch {
	case e.size >= 0 && e.n > e.size:
		return n, fmt.Errorf("read source: more than its %d bytes: %w", e.size, ErrSourceChanged)
	case err == io.EOF && e.size >= 0 && e.n < e.size:
		return n, fmt.Errorf("read source: %d of %d bytes: %w", e.n, e.size, ErrSourceChanged)
	case err != nil && err != io.EOF:
		return n, fmt.Errorf("read source: %w", err)
	}
	return n, err
}
