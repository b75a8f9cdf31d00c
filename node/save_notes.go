package node

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

const (
	saveBatch  = 256 // notes made durable together
	saveAtOnce = 8   // notes dropped at a time
)

// saveViews notes on the disk what is known of groups and neighbours, as far
// as it has changed. In haste it leaves the notes that no longer count to the
// next time.
func (n *Node) saveViews(ctx context.Context, haste bool) error {
	list, err := n.neighbours.Unsaved()
	for len(list) > 0 && err == nil {
		batch := list[:min(len(list), saveBatch)]
		list = list[len(batch):]
		if err = n.saveBatch(ctx, batch, haste); err != nil {
			n.neighbours.Unsave(append(batch, list...))
		}
	}
	if err != nil {
		return fmt.Errorf("note what is known of neighbours: %w", err)
	}
	return nil
}

func (n *Node) saveBatch(ctx context.Context, batch []neighbours.Unsaved, haste bool) error {
	facts := make([]storage.Fact, len(batch))
	for i := range batch {
		facts[i] = batch[i].Fact
	}
	if err := n.store.PutFact(ctx, facts...); err != nil {
		return err
	}
	for _, v := range batch {
		n.quota.Returned(v.Fact.Group, noteCost(v.Was)-noteCost(len(v.Fact.Bytes)))
		if _, _, held := n.neighbours.SlotsOf(v.Fact.Group); !held { // it was freed meanwhile
			n.dropFacts(ctx, v.Fact.Group, []protocol.Hash{v.Fact.ID()})
		}
	}
	if haste {
		return nil
	}
	var drops errgroup.Group
	drops.SetLimit(saveAtOnce)
	for _, v := range batch {
		drops.Go(func() error {
			n.dropFacts(ctx, v.Fact.Group, v.Old)
			return nil
		})
	}
	return drops.Wait()
}
