package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/gate"
	"github.com/cairnstore/cairn/node/line"
	"github.com/cairnstore/cairn/protocol"
)

// dealSave is how often what crossed the line is noted: a node that is killed
// loses the count of that time at most.
const dealSave = 2 * time.Minute

// ContractConfig is what the donor asks of a node, and how the node keeps what
// it must know of that over restarts.
type ContractConfig struct {
	contract.Terms
	// Load and Save keep at most 8 KiB over restarts: what crossed the line in
	// the last months, and what the donor asked for by a command. Save is
	// durable when it returns. nil: each start begins anew. Load returns nil
	// where nothing was saved.
	Load func() ([]byte, error)
	Save func([]byte) error
}

// dealing is a node's side of the contract with its donor.
type dealing struct {
	cfg  ContractConfig
	line *line.Line

	saving sync.Mutex // one save at a time; held over I/O

	mu    sync.Mutex
	state contract.State
	reads contract.Reads[protocol.SegmentID]
	saved time.Time // when
	dirty bool      // something was not saved
}

// newDealing goes on where an earlier run was. What was saved and cannot be
// read is an error: to forget that a donor is leaving, or what they have paid
// for, would break a promise.
func newDealing(cfg ContractConfig, now time.Time) (*dealing, error) {
	if err := cfg.Check(); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	d := &dealing{cfg: cfg, line: line.New(cfg.Terms), saved: now}
	if cfg.Load == nil {
		return d, nil
	}
	b, err := cfg.Load()
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	if len(b) == 0 {
		return d, nil
	}
	s, err := contract.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	d.state = *s
	return d, nil
}

// bill books what crossed the line since it was booked last. mu is held.
func (d *dealing) bill(now time.Time) {
	for c := range contract.Class(contract.Classes) {
		up, down := d.line.TakeSpent(c)
		if up != 0 || down != 0 {
			d.state.Account.Charge(now, c, up, down)
			d.dirty = true
		}
	}
}

// stance returns what the donor has asked for.
func (d *dealing) stance() contract.Stance {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.Stance
}

// spent returns what crossed the line in this month.
func (d *dealing) spent(now time.Time) contract.Spent {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bill(now)
	return d.state.Account.At(contract.MonthOf(now))
}

// may refuses a deed that the contract does not allow now, with CodeDraining
// or CodeBudget.
func (d *dealing) may(deed contract.Deed, now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bill(now)
	why, until := contract.Why(d.cfg.Terms, &d.state.Stance, &d.state.Account, deed, now)
	return refusalOf(why, until)
}

// mayRead is may for a client's read of a segment, which it counts.
func (d *dealing) mayRead(s protocol.SegmentID, bytes int64, now time.Time) error {
	if err := d.may(contract.Deed{Kind: contract.Give, Bytes: bytes}, now); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.reads.Take(s, bytes, d.cfg.ReadsADay(), now) {
		return protocol.Refuse(protocol.CodeBudget, "this segment was read here enough for a day")
	}
	return nil
}

// refusalOf says why, as far as it is a peer's business.
func refusalOf(why contract.Refusal, until time.Time) error {
	switch at := until.UTC().Format(time.RFC3339); why {
	case contract.None:
		return nil
	case contract.Draining:
		return protocol.Refuse(protocol.CodeDraining, "this node is leaving")
	case contract.Paused, contract.OutOfHour:
		return protocol.Refuse(protocol.CodeBudget, "its donor lets this node rest until %s", at)
	case contract.Away:
		return protocol.Refuse(protocol.CodeBudget, "its donor is away until %s", at)
	default:
		return protocol.Refuse(protocol.CodeBudget, "this month's volume is used up, until %s", at)
	}
}

// bulk is may for a shard that is to cross a lane, and waits for its turn
// there. It refuses with CodeUnavailable when that takes too long.
// done gives the turn back.
func (d *dealing) bulk(ctx context.Context, l *line.Lane, deed contract.Deed, now time.Time) (done func(), err error) {
	if err := d.may(deed, now); err != nil {
		return nil, err
	}
	return d.turn(ctx, l, deed.Class)
}

func (d *dealing) turn(ctx context.Context, l *line.Lane, c contract.Class) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, gate.Patience)
	defer cancel()
	done, ok := l.Transfer(ctx, c)
	if !ok {
		return nil, protocol.Refuse(protocol.CodeUnavailable, "the donor's line is full")
	}
	return done, nil
}

// budget returns what Info tells: what clients may still move this month, in
// bytes; 0: there is no limit.
func (d *dealing) budget(now time.Time) int64 {
	if d.cfg.Month == 0 {
		return 0
	}
	return max(1, d.cfg.Left(d.spent(now), contract.Clients)) // 0 would mean the opposite
}

// change lets a command change the stance, durably, or not at all.
func (d *dealing) change(now time.Time, how func(contract.Stance) (contract.Stance, error)) error {
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	before := d.state.Stance
	next, err := how(before)
	if err == nil {
		d.state.Stance = next
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if err := d.write(now); err != nil {
		d.mu.Lock()
		d.state.Stance = before
		d.mu.Unlock()
		return err
	}
	return nil
}

// save notes what crossed the line, if something did and it is time to, or if
// it is the end.
func (d *dealing) save(now time.Time, end bool) error {
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	d.bill(now)
	age := now.Sub(d.saved)
	due := d.dirty && (end || age >= dealSave || age < 0)
	d.mu.Unlock()
	if !due {
		return nil
	}
	return d.write(now)
}

// write saves the state. saving is held.
func (d *dealing) write(now time.Time) error {
	d.mu.Lock()
	d.bill(now)
	b, err := d.state.Encode()
	d.dirty, d.saved = false, now
	d.mu.Unlock()
	if err == nil && d.cfg.Save != nil {
		err = d.cfg.Save(b)
	}
	if err != nil {
		d.mu.Lock()
		d.dirty = true
		d.mu.Unlock()
		return fmt.Errorf("note the contract: %w", err)
	}
	return nil
}
