package gate

import (
	"sync"

	"github.com/cairnstore/cairn/protocol"
)

// bufferClasses are the sizes, in bytes, of pooled buffers.
var bufferClasses = [...]int64{protocol.LeafSize, 128 << 10, 1 << 20, protocol.MaxShardSize}

// Buffers are pools of memory for shards, by size.
type Buffers struct{ pools [len(bufferClasses)]sync.Pool }

// Get returns a buffer of n bytes, at most protocol.MaxShardSize.
func (b *Buffers) Get(n int64) *[]byte {
	for i, size := range bufferClasses {
		if n > size {
			continue
		}
		v, ok := b.pools[i].Get().(*[]byte)
		if !ok {
			buf := make([]byte, size)
			v = &buf
		}
		*v = (*v)[:n]
		return v
	}
	buf := make([]byte, n)
	return &buf
}

// Put gives a buffer back.
func (b *Buffers) Put(v *[]byte) {
	for i, size := range bufferClasses {
		if int64(cap(*v)) == size {
			b.pools[i].Put(v)
			return
		}
	}
}
