package client

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of deleting.
const (
	// tellFor is how long holders that did not acknowledge a deletion are told
	// of it again, where enough others know: one that is away longer has lost its
	// slot.
	tellFor = 30 * 24 * time.Hour
	// tellAtMost is when this ends even where too few know: leases have ended by
	// then.
	tellAtMost = 500 * 24 * time.Hour

	groupsAtOnce = 8 // that are told something at a time
)

// DeleteOptions are a deletion's settings.
type DeleteOptions struct {
	// Progress is told, from one goroutine, how many of the holders have
	// acknowledged; nil: nobody is.
	Progress func(acknowledged, holders int)
}

// DeleteResult is what became of a deletion. Holders that did not acknowledge it
// are told by later sessions and by the other members.
type DeleteResult struct {
	Name         string // of what was put
	Size         int64  // bytes; -1: not known
	Segments     int    // that nothing else refers to
	Holders      int    // slots of the groups concerned, without vacant ones
	Acknowledged int    // slots whose holder, or its successor, acknowledged
	Enough       bool   // in each group enough acknowledged to make it final
	FreedAfter   time.Duration
}

// Delete frees what a link leads to, which this owner must have put. It is in
// the journal first: cut off at any point, it is taken up by Delete or Attend.
// It returns ErrNotOwn for what others put, ErrDeleted for what is deleted
// already, and an OtherNetworkError, having deleted nothing, for what lies in
// another network. With ErrTooFew comes a result that says how far it got.
func (c *Client) Delete(ctx context.Context, link protocol.Link, opt DeleteOptions) (*DeleteResult, error) {
	if c.cfg.Owner == nil {
		return nil, fmt.Errorf("delete: %w", ErrNoOwner)
	}
	d, err := c.cfg.Owner.deleteUpload(link.Pointer, c.cfg.Network, c.now())
	if err != nil {
		return nil, fmt.Errorf("delete: %w", err)
	}
	return c.carryOut(ctx, putID(link.Pointer), d, opt)
}

// DeleteUnfinished frees what a put that was cut off has stored. name is its
// Upload's ID. Otherwise it works as Delete does.
func (c *Client) DeleteUnfinished(ctx context.Context, name string, opt DeleteOptions) (*DeleteResult, error) {
	if c.cfg.Owner == nil {
		return nil, fmt.Errorf("delete: %w", ErrNoOwner)
	}
	id, d, err := c.cfg.Owner.deletePut(name, c.cfg.Network, c.now())
	if err != nil {
		return nil, fmt.Errorf("delete: %w", err)
	}
	return c.carryOut(ctx, id, d, opt)
}

// FreePacked deletes the segments that PutAll stored in this network and for which
// live returns false: nothing in them is wanted any more. The caller knows what
// refers to them, and makes sure that no PutAll is under way, because live may not
// know its segments yet. Otherwise it works as Delete does.
func (c *Client) FreePacked(ctx context.Context, live func(protocol.GroupID, protocol.SegmentID) bool, opt DeleteOptions) (*DeleteResult, error) {
	if c.cfg.Owner == nil {
		return nil, fmt.Errorf("delete: %w", ErrNoOwner)
	}
	var id putID
	if _, err := io.ReadFull(c.rand, id[:]); err != nil {
		return nil, fmt.Errorf("delete: draw an ID: %w", err)
	}
	d, err := c.cfg.Owner.deletePacked(id, live, c.cfg.Network, c.now())
	if err != nil {
		return nil, fmt.Errorf("delete: %w", err)
	}
	return c.carryOut(ctx, id, d, opt)
}

// carryOut tells the holders of a deletion and sums up.
func (c *Client) carryOut(ctx context.Context, id putID, d *deleteState, opt DeleteOptions) (*DeleteResult, error) {
	res := &DeleteResult{Name: d.Name, Size: d.Size, Segments: d.segments(), FreedAfter: protocol.DeleteDelay}
	if len(d.Subjects) == 0 {
		res.Enough = true // nothing was ever granted for it, or something else needs all of it
		return res, nil
	}
	t, err := c.tellDeletion(ctx, id, d, opt.Progress)
	if t != nil {
		res.Holders, res.Acknowledged, res.Enough = t.holders, t.acknowledged, d.Enough
	}
	switch {
	case err != nil:
		return res, fmt.Errorf("delete: %w", err)
	case !d.Enough:
		return res, fmt.Errorf("delete: %d of %d holders acknowledged: %w", res.Acknowledged, res.Holders, ErrTooFew)
	}
	return res, nil
}

// receipts counts acknowledgements over all groups of a deletion.
type receipts struct {
	mu                    sync.Mutex
	holders, acknowledged int
	tell                  func(acknowledged, holders int)
}

func (t *receipts) add(acknowledged, holders int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acknowledged += acknowledged
	t.holders += holders
	if t.tell != nil {
		t.tell(t.acknowledged, t.holders)
	}
}

// tellDeletion tells all members of the groups concerned that have not
// acknowledged the deletion, and notes in the journal which of them do. Where some
// of the groups are of another network, and too few of their members know, it tells
// the other groups and returns an OtherNetworkError.
func (c *Client) tellDeletion(ctx context.Context, id putID, d *deleteState, progress func(int, int)) (*receipts, error) {
	groups, err := c.ownGroups()
	if err != nil {
		return nil, err
	}
	order, subjects := d.groups()
	t := &receipts{tell: progress}
	told := make([]toldGroup, len(order))
	enough := make([]bool, len(order))
	var away error
	for i, g := range order {
		own := groups[g]
		if own == nil {
			return nil, fmt.Errorf("the journal has no group %s", g.Prefix())
		}
		told[i] = toldGroup{Group: g, Slots: d.told(g, own.profile.N)}
		t.add(countTrue(told[i].Slots), own.held())
		if err := c.elsewhere(own); err != nil && !enoughTold(told[i].Slots) {
			away = err
		}
	}
	turns := make(chan struct{}, groupsAtOnce)
	var all sync.WaitGroup
	for i, g := range order {
		own := groups[g]
		if c.elsewhere(own) != nil {
			enough[i] = enoughTold(told[i].Slots)
			continue
		}
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			n := &news{facts: own.deletes(subjects[g]), told: told[i].Slots, heard: func() { t.add(1, 0) }, final: !d.Enough, deletes: true}
			enough[i] = c.reach(ctx, own, n)
		})
	}
	all.Wait()
	over := c.isOver(d, groups, told)
	d.Told, d.Enough = told, !slices.Contains(enough, false)
	if err := c.cfg.Owner.saveReceipts(id, d, over); err != nil {
		return t, err
	}
	return t, away
}

// concerns reports whether a deletion has anything to tell to groups of this
// session's network.
func (c *Client) concerns(d *deleteState, groups map[protocol.GroupID]*ownGroup) bool {
	return slices.ContainsFunc(d.Subjects, func(s deletedSubject) bool {
		g := groups[s.Group]
		return g == nil || c.elsewhere(g) == nil // an unknown one is an error to tell of
	})
}

// isOver reports whether nobody need be told of a deletion any more: all holders,
// or after a while enough of them, have acknowledged it and are believed.
func (c *Client) isOver(d *deleteState, groups map[protocol.GroupID]*ownGroup, told []toldGroup) bool {
	all, enough := true, true
	for _, t := range told {
		all = all && allTold(groups[t.Group].holders(), t.Slots)
		enough = enough && enoughTold(t.Slots)
	}
	age := c.now().Sub(time.Unix(d.Since, 0))
	return all && enough || enough && age >= tellFor || age >= tellAtMost
}

// ownGroups returns every group of this owner's, by ID, including those of other
// networks.
func (c *Client) ownGroups() (map[protocol.GroupID]*ownGroup, error) {
	states, err := c.cfg.Owner.groups()
	if err != nil {
		return nil, err
	}
	all := make(map[protocol.GroupID]*ownGroup, len(states))
	for _, s := range states {
		g, err := c.cfg.Owner.openState(s)
		if err != nil {
			return nil, err
		}
		all[g.id] = g
	}
	return all, nil
}

// held returns how many slots have a holder.
func (g *ownGroup) held() (n int) {
	for _, h := range g.holders() {
		if h != "" {
			n++
		}
	}
	return n
}

// deletes returns signed deletes of subjects of the group.
func (g *ownGroup) deletes(subjects [][]byte) []protocol.Fact {
	facts := make([]protocol.Fact, len(subjects))
	for i, s := range subjects {
		facts[i] = protocol.Fact{Kind: protocol.FactDelete, Bytes: protocol.SignDelete(g.ownerKey, g.networkName, g.id, s)}
	}
	return facts
}
