package fair

import "container/heap"

// Counts says how much each crowd has, and which has most. A change takes time
// in proportion to the logarithm of the number of crowds. The zero value is
// empty. It is not safe for concurrent use.
type Counts[C comparable] struct {
	of    map[C]*count[C]
	most  countHeap[C]
	total int
}

// count is what one crowd has, never zero.
type count[C comparable] struct {
	crowd C
	n     int
	place int // in the heap
}

// Add gives a crowd n more; below 0: fewer.
func (c *Counts[C]) Add(crowd C, n int) {
	v := c.of[crowd]
	if n == 0 {
		return
	}
	if v == nil {
		if c.of == nil {
			c.of = make(map[C]*count[C])
		}
		v = &count[C]{crowd: crowd}
		c.of[crowd] = v
		heap.Push(&c.most, v)
	}
	v.n += n
	c.total += n
	if v.n != 0 {
		heap.Fix(&c.most, v.place)
		return
	}
	heap.Remove(&c.most, v.place)
	delete(c.of, crowd)
}

// Of returns how much a crowd has.
func (c *Counts[C]) Of(crowd C) int {
	if v := c.of[crowd]; v != nil {
		return v.n
	}
	return 0
}

// Total returns how much all crowds have together.
func (c *Counts[C]) Total() int { return c.total }

// Most returns a crowd that has as much as any, and how much that is; 0: none
// has anything.
func (c *Counts[C]) Most() (crowd C, n int) {
	if len(c.most) == 0 {
		return crowd, 0
	}
	return c.most[0].crowd, c.most[0].n
}

// countHeap has the crowd with most first.
type countHeap[C comparable] []*count[C]

func (h countHeap[C]) Len() int           { return len(h) }
func (h countHeap[C]) Less(i, j int) bool { return h[i].n > h[j].n }
func (h countHeap[C]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *countHeap[C]) Push(v any) {
	c, _ := v.(*count[C])
	c.place = len(*h)
	*h = append(*h, c)
}

func (h *countHeap[C]) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	return last
}
