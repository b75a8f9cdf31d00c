package neighbours

import (
	"container/heap"
	"time"
)

// beatQueue is a heap of the neighbours that are not being asked, by when the
// next beat of each is due: out of thousands one is, and at most moments none.
type beatQueue []*neighbour

func (q beatQueue) Len() int           { return len(q) }
func (q beatQueue) Less(i, j int) bool { return q[i].next < q[j].next }

func (q beatQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].queued, q[j].queued = i, j
}

func (q *beatQueue) Push(x any) {
	p := x.(*neighbour)
	p.queued = len(*q)
	*q = append(*q, p)
}

func (q *beatQueue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	p.queued = -1
	return p
}

// plan sets when a neighbour's next beat is due, by mono. mu is held.
func (h *Register) plan(p *neighbour, next time.Duration) {
	p.next = next
	switch {
	case p.queued >= 0:
		heap.Fix(&h.beats, p.queued)
	case !p.busy:
		heap.Push(&h.beats, p)
	}
}

// unplan takes a neighbour out of the queue of beats. mu is held.
func (h *Register) unplan(p *neighbour) {
	if p.queued >= 0 {
		heap.Remove(&h.beats, p.queued)
	}
}

// nextDue takes out the neighbour that has been due for the longest; nil: none is.
// mu is held.
func (h *Register) nextDue(mono time.Duration) *neighbour {
	if len(h.beats) == 0 || h.beats[0].next > mono {
		return nil
	}
	return heap.Pop(&h.beats).(*neighbour)
}
