package audit

import (
	"time"

	"github.com/cairnstore/cairn/protocol/group"
)

// Places is how many members may audit one shard in a cycle, in the order of the
// lot, as its holder sees it. The first should; another does where it sees those
// before it gone. It does not happen that eight in a row look gone to an asker
// and not to the holder.
const Places = 8

// Asked is what a holder remembers of who asked for one of its shards in one
// cycle: a bit for each of the first Places by lot. Zero: nobody. Forget it when
// the cycle's number changes.
type Asked uint8

// Allow reports whether a holder owes the asker an audit of a shard in this
// cycle, and returns what to remember if so. members, living and the indexes are
// the holder's own view of the group; an asker that is no member is owed nothing.
// Asking uses the allowance up, whatever the outcome: an asker that asks again to
// choose a chunk is refused.
func (a Asked) Allow(shard group.Lot, members []group.Key, living group.Set, holder, asker int) (Asked, bool) {
	if asker == holder || asker < 0 {
		return a, false
	}
	all := group.UpTo(len(members))
	all.Remove(holder)
	place := shard.Place(members, all, asker)
	if place >= Places {
		living.Remove(holder)
		if shard.Place(members, living, asker) > 0 {
			return a, false
		}
		place = Places - 1
	}
	bit := Asked(1) << place
	return a | bit, a&bit == 0
}

// Extra is what a holder owes one neighbour besides the lot: a sample of one
// shard a day. Keep one for each neighbour. The zero Extra owes all of it.
type Extra struct {
	Sampled time.Duration // when the neighbour last took its sample; meaningless while Ever is false
	Ever    bool          // it has taken one
}

// AllowSample reports whether a sample is owed at a moment of the watch, and
// returns what to remember if so. A sample may come a fifth of a day early: that
// is enough for clocks and jitter.
func (e Extra) AllowSample(set *Settings, now time.Duration) (Extra, bool) {
	if e.Ever && now-e.Sampled < set.SampleEvery-set.SampleEvery/5 {
		return e, false
	}
	return Extra{now, true}, true
}

// Entry is what a holder owes one member of one group once: the entry audit, by
// which the member comes to know it, of EntryShards shards at most. Keep one for
// each pair. The zero Entry owes all of it; all of it is owed again after ProofFor,
// when what was proved no longer counts.
type Entry struct {
	Begun time.Duration // when the first shard was asked for; meaningless while Used is 0
	Used  uint8         // shards asked for since
}

// Allow reports whether n more shards are owed at a moment of the watch, and
// returns what to remember if so.
func (e Entry) Allow(set *Settings, now time.Duration, n int) (Entry, bool) {
	if e.Used > 0 && now-e.Begun >= set.ProofFor {
		e = Entry{}
	}
	if n < 1 || int(e.Used)+n > set.EntryShards {
		return e, false
	}
	if e.Used == 0 {
		e.Begun = now
	}
	e.Used += uint8(n)
	return e, true
}
