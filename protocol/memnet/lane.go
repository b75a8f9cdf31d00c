package memnet

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// window is how many bytes may be under way or unread in one direction.
	window = 256 << 10
	// maxSegment is how many bytes travel, and are delayed, together.
	maxSegment = 64 << 10
)

// segment is bytes that arrive together.
type segment struct {
	due  time.Time
	data []byte
}

// lane is one direction of a stream, guarded by its pair's mu.
type lane struct {
	link     Link
	held     bool // nothing arrives for now
	chance   *rand.Rand
	queue    []segment
	size     int       // bytes of the window in use
	last     time.Time // when the last of them is due: nothing overtakes
	closed   bool
	closeDue time.Time
	reset    bool
	resetDue time.Time
}

// put queues as much of b as the window takes, at most one segment.
func (l *lane) put(b []byte, now time.Time, from, to *Peer) int {
	n := min(len(b), window-l.size, maxSegment)
	if n <= 0 {
		return 0
	}
	sent := from.upload.carry(now, n, from.cfg.Rate)
	delay := l.delay()
	first := sent.Add(delay - transfer(n, from.cfg.Rate)) // when its first byte arrives
	read := to.download.carry(first, n, to.cfg.Rate)
	l.last = latest(l.last, sent.Add(delay), read)
	l.queue = append(l.queue, segment{l.last, append([]byte(nil), b[:n]...)})
	l.size += n
	return n
}

// take moves what has arrived into b.
func (l *lane) take(b []byte, now time.Time) (n int) {
	for len(l.queue) > 0 && n < len(b) && !now.Before(l.queue[0].due) {
		s := &l.queue[0]
		c := copy(b[n:], s.data)
		n += c
		if s.data = s.data[c:]; len(s.data) == 0 {
			l.queue[0] = segment{}
			l.queue = l.queue[1:]
		}
	}
	l.size -= n
	return n
}

// ended reports whether the writer's Close has arrived.
func (l *lane) ended(now time.Time) bool {
	return l.closed && len(l.queue) == 0 && !now.Before(l.closeDue)
}

// next returns when something will arrive; zero: nothing is under way.
func (l *lane) next() time.Time {
	switch {
	case len(l.queue) > 0:
		return l.queue[0].due
	case l.closed:
		return l.closeDue
	}
	return time.Time{}
}

// drop forgets what nobody will read. It still counts against the window.
func (l *lane) drop() { l.queue = nil }

// after returns when something sent now arrives, behind all that was written.
func (l *lane) after(now time.Time) time.Time { return latest(l.last, now.Add(l.delay())) }

func latest(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if o.After(t) {
			t = o
		}
	}
	return t
}

func (l *lane) delay() time.Duration {
	if l.link.Jitter <= 0 {
		return l.link.Latency
	}
	return l.link.Latency + time.Duration(l.chance.Int64N(int64(l.link.Jitter)))
}

// line is a peer's access in one direction, shared by all of its streams.
type line struct {
	mu   sync.Mutex
	free time.Time // when it can carry something new
}

// carry returns when n bytes that may start at from have passed.
func (l *line) carry(from time.Time, n int, rate int64) time.Time {
	if rate <= 0 {
		return from
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free.After(from) {
		from = l.free
	}
	l.free = from.Add(transfer(n, rate))
	return l.free
}

// transfer returns how long n bytes take at a rate of bytes a second.
func transfer(n int, rate int64) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(float64(n) / float64(rate) * float64(time.Second))
}
