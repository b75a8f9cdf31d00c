package storage

import (
	"iter"
	"slices"
)

// merge yields the ordered lists of all stores as one, without repetitions.
// Errors come last: an error of one store must not hide what the others hold.
func merge[T any](d *Disks, list func(Store) iter.Seq2[T, error], compare func(a, b T) int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		m := merger[T]{compare: compare}
		defer m.stop()
		for _, s := range d.stores {
			m.add(iter.Pull2(list(s)))
		}
		for m.any() {
			if !yield(m.next(), nil) {
				return
			}
		}
		for _, e := range m.failed {
			if !yield(e.of, e.err) {
				return
			}
		}
	}
}

// merger joins ordered sequences.
type merger[T any] struct {
	compare func(a, b T) int
	heads   []T
	nexts   []func() (T, error, bool)
	stops   []func()
	failed  []failedItem[T]
}

type failedItem[T any] struct {
	of  T
	err error
}

func (m *merger[T]) add(next func() (T, error, bool), stop func()) {
	m.stops = append(m.stops, stop)
	if head, ok := m.pull(next); ok {
		m.heads, m.nexts = append(m.heads, head), append(m.nexts, next)
	}
}

// pull returns a sequence's next item that is no error, and keeps the errors
// before it for later.
func (m *merger[T]) pull(next func() (T, error, bool)) (T, bool) {
	for {
		v, err, ok := next()
		if !ok || err == nil {
			return v, ok
		}
		m.failed = append(m.failed, failedItem[T]{v, err})
	}
}

func (m *merger[T]) any() bool { return len(m.heads) > 0 }

// next returns the least head, and drops equal ones of other sequences.
func (m *merger[T]) next() T {
	least := slices.MinFunc(m.heads, m.compare)
	for i := len(m.heads) - 1; i >= 0; i-- {
		if m.compare(m.heads[i], least) != 0 {
			continue
		}
		if head, ok := m.pull(m.nexts[i]); ok {
			m.heads[i] = head
			continue
		}
		m.heads, m.nexts = slices.Delete(m.heads, i, i+1), slices.Delete(m.nexts, i, i+1)
	}
	return least
}

func (m *merger[T]) stop() {
	for _, s := range m.stops {
		s()
	}
}
