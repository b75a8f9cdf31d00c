package client

import "sync"

// keptBuffers is how many bytes of received shards' memory are kept for the
// next ones: a segment at k = 4.
const keptBuffers = 16 << 20

// leastKept is the shortest buffer worth keeping, in bytes.
const leastKept = 64 << 10

// buffers hands memory for received shards out and takes it back, so that a
// long read makes no garbage.
type buffers struct {
	mu   sync.Mutex
	free [][]byte
	held int64
	most int64
}

func newBuffers(most int64) *buffers { return &buffers{most: most} }

// get returns n bytes, whose content is anything.
func (b *buffers) get(n int64) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.free) - 1; i >= 0; i-- {
		// Not one that is far too long: a request of its own size may come.
		if c := int64(cap(b.free[i])); c >= n && c <= 2*n {
			buf := b.free[i]
			b.free[i] = b.free[len(b.free)-1]
			b.free = b.free[:len(b.free)-1]
			b.held -= c
			return buf[:n]
		}
	}
	return make([]byte, n)
}

// put takes a buffer back. Nobody may use it afterwards.
func (b *buffers) put(buf []byte) {
	c := int64(cap(buf))
	if c < leastKept {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// Buffers kept longest, which may be of a size no longer used, make room for it.
	for b.held+c > b.most && len(b.free) > 0 {
		b.held -= int64(cap(b.free[0]))
		b.free = b.free[1:]
	}
	if b.held+c <= b.most {
		b.free = append(b.free, buf)
		b.held += c
	}
}
