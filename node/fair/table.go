package fair

import (
	"container/list"
	"iter"
)

// Goes says which entry of the most crowded crowd gives way.
type Goes bool

const (
	// Newest keeps what came first: a peer that gains by being forgotten cannot
	// push out what it did long ago.
	Newest Goes = false
	// Oldest keeps what came last, for entries that are soon done with: so a peer
	// that shares its crowd with an attacker has some time there, too.
	Oldest Goes = true
)

// Table keeps a bounded number of entries, each of which counts for some crowds:
// when it is full, an entry of the most crowded of all makes room for an entry
// that joins smaller crowds only. Put and Delete take time in proportion to the
// logarithm of the number of crowds. It is not safe for concurrent use.
type Table[K, C comparable, V any] struct {
	most int
	goes Goes
	gone func(K, V)

	entries map[K]*entry[K, C, V]
	age     list.List // of entries, the oldest first
	crowds  map[C]*crowd[C]
	counts  Counts[*crowd[C]]
}

// crowd is a crowd that has entries.
type crowd[C comparable] struct {
	name C
	list list.List // of entries, the oldest first
}

// entry knows its places in the lists.
type entry[K, C comparable, V any] struct {
	key   K
	value V
	age   *list.Element
	in    []member[C]
}

type member[C comparable] struct {
	of    *crowd[C]
	place *list.Element
}

// NewTable makes a table of at most most entries. gone, unless nil, is called for
// each entry that is taken out, for whatever reason.
func NewTable[K, C comparable, V any](most int, goes Goes, gone func(K, V)) *Table[K, C, V] {
	return &Table[K, C, V]{
		most: most, goes: goes, gone: gone,
		entries: make(map[K]*entry[K, C, V]), crowds: make(map[C]*crowd[C]),
	}
}

// Len returns the number of entries.
func (t *Table[K, C, V]) Len() int { return len(t.entries) }

// Get returns an entry.
func (t *Table[K, C, V]) Get(k K) (v V, ok bool) {
	if e := t.entries[k]; e != nil {
		return e.value, true
	}
	return v, false
}

// All iterates over the entries, the oldest first. The one that it has just given
// may be deleted meanwhile, no other.
func (t *Table[K, C, V]) All() iter.Seq2[K, V] { return each[K, C, V](&t.age) }

// In iterates over the entries of a crowd as All does.
func (t *Table[K, C, V]) In(name C) iter.Seq2[K, V] {
	if c := t.crowds[name]; c != nil {
		return each[K, C, V](&c.list)
	}
	return func(func(K, V) bool) {}
}

func each[K, C comparable, V any](l *list.List) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for at := l.Front(); at != nil; {
			e, _ := at.Value.(*entry[K, C, V])
			at = at.Next()
			if !yield(e.key, e.value) {
				return
			}
		}
	}
}

// Put makes an entry of some crowds, which are distinct, instead of an earlier
// one of the same key. It reports false where there is no room for it: then no
// crowd would be larger than those that it joins.
func (t *Table[K, C, V]) Put(k K, v V, crowds ...C) bool {
	t.Delete(k)
	if len(t.entries) >= t.most && !t.makeRoom(crowds) {
		return false
	}
	e := &entry[K, C, V]{key: k, value: v, in: make([]member[C], len(crowds))}
	e.age = t.age.PushBack(e)
	for i, name := range crowds {
		c := t.crowds[name]
		if c == nil {
			c = &crowd[C]{name: name}
			t.crowds[name] = c
		}
		e.in[i] = member[C]{c, c.list.PushBack(e)}
		t.counts.Add(c, 1)
	}
	t.entries[k] = e
	return true
}

// makeRoom takes an entry out of the most crowded, for one that joins some crowds;
// if one of these would then be as crowded, out of that one, where the oldest goes.
func (t *Table[K, C, V]) makeRoom(joins []C) bool {
	worst, most := t.counts.Most()
	var own *crowd[C]
	n := 0
	for _, name := range joins {
		if c := t.crowds[name]; c != nil && c.list.Len() > n {
			own, n = c, c.list.Len()
		}
	}
	if n+1 >= most {
		if n == 0 || t.goes == Newest {
			return false
		}
		worst = own
	}
	at := worst.list.Back()
	if t.goes == Oldest {
		at = worst.list.Front()
	}
	e, _ := at.Value.(*entry[K, C, V])
	t.Delete(e.key)
	return true
}

// Delete takes an entry out, if there is one.
func (t *Table[K, C, V]) Delete(k K) {
	e := t.entries[k]
	if e == nil {
		return
	}
	delete(t.entries, k)
	t.age.Remove(e.age)
	for _, m := range e.in {
		if m.of.list.Remove(m.place); m.of.list.Len() == 0 {
			delete(t.crowds, m.of.name)
		}
		t.counts.Add(m.of, -1)
	}
	if t.gone != nil {
		t.gone(k, e.value)
	}
}
