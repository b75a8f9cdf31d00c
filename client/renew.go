package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
	"github.com/cairnstore/cairn/storage/kv"
)

// renewalEvery is how old a group's last renewal must be before its owner's commands
// send another. A lease lasts twelve months, so a week costs little of it and saves
// small puts the round.
const renewalEvery = 7 * 24 * time.Hour

// RenewOptions are a renewal's settings.
type RenewOptions struct {
	// Here says that this network alone is meant: that groups of others are left out is
	// no error then.
	Here bool
}

// RenewResult is what became of a renewal.
type RenewResult struct {
	Groups       int       // of this owner, in this network, that keep something, or may and were renewed
	Renewed      int       // groups of which enough members know for the others to hear of it
	Holders      int       // slots of all groups, without vacant ones
	Acknowledged int       // of them
	Until        time.Time // how long all renewed groups are kept, if nobody renews again

	// Elsewhere counts the groups of other networks that keep something, by the
	// networks' names: they are not renewed.
	Elsewhere map[string]int
}

// Renew tells the members of all the owner's groups that it lives, which they
// otherwise forget after twelve months. It returns ErrTooFew, with the result,
// where some group was not renewed, and unless opt.Here is set an OtherNetworkError
// for each other network that has any.
func (c *Client) Renew(ctx context.Context, opt RenewOptions) (*RenewResult, error) {
	if c.cfg.Owner == nil {
		return nil, fmt.Errorf("renew: %w", ErrNoOwner)
	}
	now := c.now()
	groups, err := c.ownGroups()
	if err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	res, err := c.renewGroups(ctx, groups, func(*ownGroup) bool { return true }, now)
	if err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	if err := c.unrenewed(res, opt); err != nil {
		return res, fmt.Errorf("renew: %w", err)
	}
	return res, nil
}

// unrenewed says why not all groups that were meant are renewed.
func (c *Client) unrenewed(res *RenewResult, opt RenewOptions) (err error) {
	if res.Renewed < res.Groups {
		err = fmt.Errorf("%d of %d groups are renewed: %w", res.Renewed, res.Groups, ErrTooFew)
	}
	if opt.Here {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(res.Elsewhere)) {
		left := fmt.Errorf("groups left out: %d, %w", res.Elsewhere[name], &OtherNetworkError{name, c.cfg.Network})
		if err == nil {
			err = left
		} else {
			err = fmt.Errorf("%w; %w", err, left)
		}
	}
	return err
}

// renewGroups renews those of the owner's groups that are still needed and due.
func (c *Client) renewGroups(ctx context.Context, groups map[protocol.GroupID]*ownGroup, due func(*ownGroup) bool, now time.Time) (*RenewResult, error) {
	keeping, err := c.cfg.Owner.keepingGroups()
	if err != nil {
		return nil, err
	}
	res := &RenewResult{Elsewhere: make(map[string]int)}
	var mu sync.Mutex
	var all sync.WaitGroup
	turns := make(chan struct{}, groupsAtOnce)
	for id, g := range groups {
		if c.elsewhere(g) != nil {
			if keeping[id] {
				res.Elsewhere[g.networkName]++
			}
			continue
		}
		if !keeping[id] && g.isClosed() || !due(g) {
			continue // a group whose segments are all deleted may lapse
		}
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			told, enough := c.renewGroup(ctx, g, now)
			if !enough && !keeping[id] {
				return // nothing is lost with it; members may have freed it
			}
			mu.Lock()
			defer mu.Unlock()
			res.Groups++
			res.Holders += g.held()
			res.Acknowledged += told
			if !enough {
				return
			}
			res.Renewed++
			if until := g.leaseAfter(now); res.Until.IsZero() || until.Before(res.Until) {
				res.Until = until
			}
		})
	}
	all.Wait()
	return res, nil
}

// renewGroup renews one group and returns how many members acknowledge that, and
// whether they are enough for the others to hear of it.
func (c *Client) renewGroup(ctx context.Context, g *ownGroup, now time.Time) (told int, enough bool) {
	var heard atomic.Int64
	n := &news{facts: []protocol.Fact{g.renewal(now)}, told: make([]bool, g.profile.N), heard: func() { heard.Add(1) }}
	if enough = c.reach(ctx, g, n); enough {
		if err := g.renewed(now); err != nil {
			c.log.Warn("journal a renewal", "err", err)
		}
	}
	return int(heard.Load()), enough
}

// Attend does what an owner owes its groups, in any session: it tells holders of
// deletions that they did not acknowledge, and renews groups whose last renewal is
// a week old. ctx bounds it; what it does not get to is left for the next session.
func (c *Client) Attend(ctx context.Context) error {
	if c.cfg.Owner == nil {
		return nil
	}
	now := c.now()
	deletions, err := c.cfg.Owner.deletions() // from before: one that begins meanwhile is told by its own call
	var groups map[protocol.GroupID]*ownGroup
	if err == nil {
		groups, err = c.ownGroups()
	}
	if err == nil {
		_, err = c.renewGroups(ctx, groups, func(g *ownGroup) bool { return g.renewalDue(now) }, now)
	}
	if err != nil {
		return fmt.Errorf("attend to groups: %w", err)
	}
	var errs []error
	for id, d := range deletions {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !c.concerns(d, groups) {
			continue
		}
		if _, err := c.tellDeletion(ctx, id, d, nil); err != nil && !errors.As(err, new(*OtherNetworkError)) {
			errs = append(errs, fmt.Errorf("attend to groups: %w", err)) // one keeps no other back
		}
	}
	return errors.Join(errs...)
}

// Owes reports whether Attend has anything to do.
func (c *Client) Owes() bool {
	if c.cfg.Owner == nil {
		return false
	}
	deletions, err := c.cfg.Owner.deletions()
	if err != nil {
		return false
	}
	groups, err := c.ownGroups()
	if err != nil {
		return false
	}
	for _, d := range deletions {
		if c.concerns(d, groups) {
			return true
		}
	}
	for _, g := range groups {
		if c.elsewhere(g) == nil && g.renewalDue(c.now()) {
			return true
		}
	}
	return false
}

// keepingGroups returns the groups that keep something for this owner. Besides
// these, groups that are still open are renewed, because later puts may use them.
func (o *Owner) keepingGroups() (map[protocol.GroupID]bool, error) {
	keeping := make(map[protocol.GroupID]bool)
	err := o.db.View(func(tx *kv.Tx) error {
		refs, err := references(tx)
		for h := range refs {
			keeping[h.Group] = true
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	return keeping, nil
}

// renewal returns the signed fact that the owner lives; renewalDue reports whether it
// is time for one, and renewed notes that members know.
func (g *ownGroup) renewal(now time.Time) protocol.Fact {
	return protocol.Fact{Kind: protocol.FactRenewal, Bytes: protocol.SignRenewal(g.renewKey, g.networkName, g.id, now)}
}

// leaseAfter returns until when members keep the group after a renewal at now.
func (g *ownGroup) leaseAfter(now time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	set := group.DefaultLeaseSettings()
	l, _ := group.NewLease(time.Unix(g.state.Formed, 0), false).Renewed(&set, now.Unix(), now)
	return time.Unix(l.End(&set), 0)
}

func (g *ownGroup) renewalDue(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Sub(time.Unix(g.state.Renewed, 0)) >= renewalEvery
}

func (g *ownGroup) renewed(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.Renewed = now.Unix()
	return g.owner.saveGroup(g.state)
}
