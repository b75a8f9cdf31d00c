package erasure

// skew lies between two shards of a Buffer, in bytes. Shards are often a power
// of two long: without it their columns would fall into the same cache sets.
const skew = 64

// Buffer is room for the n shards of one segment in one allocation. It can be
// used again for any segment whose shards fit.
type Buffer struct {
	n    int
	size int64 // of each shard now
	room int64 // for each shard, with its skew
	mem  []byte
}

// NewBuffer returns a Buffer for n shards of at most shardSize bytes.
func NewBuffer(n int, shardSize int64) *Buffer {
	room := shardSize + skew
	return &Buffer{n: n, size: shardSize, room: room, mem: make([]byte, int64(n)*room)}
}

// Resize sets the length of the shards to size bytes, reusing the memory. It
// reports false, and changes nothing, when the Buffer is too small for it.
func (b *Buffer) Resize(size int64) bool {
	if size < 1 || int64(b.n)*(size+skew) > int64(len(b.mem)) {
		return false
	}
	b.size, b.room = size, size+skew
	return true
}

// ShardSize returns the length of each shard in bytes.
func (b *Buffer) ShardSize() int64 { return b.size }

// Shard returns the memory of shard i.
func (b *Buffer) Shard(i int) []byte {
	lo := int64(i) * b.room
	return b.mem[lo : lo+b.size : lo+b.size]
}

// Shards returns the memory of all shards.
func (b *Buffer) Shards() [][]byte {
	s := make([][]byte, b.n)
	for i := range s {
		s[i] = b.Shard(i)
	}
	return s
}

// WriteAt lays p at offset off of the segment, whose bytes are those of the
// shards in order. It returns how much found room.
func (b *Buffer) WriteAt(p []byte, off int64) int {
	return b.each(off, int64(len(p)), func(shard []byte, at int) { copy(shard, p[at:]) })
}

// ReadAt fills p from offset off of the segment. It returns how much there was.
func (b *Buffer) ReadAt(p []byte, off int64) int {
	return b.each(off, int64(len(p)), func(shard []byte, at int) { copy(p[at:], shard) })
}

// ZeroTail clears what lies between offset off and the end of the first k
// shards: the zeros that fill up the last data shards.
func (b *Buffer) ZeroTail(off int64, k int) {
	b.each(off, int64(k)*b.size-off, func(shard []byte, _ int) { clear(shard) })
}

// each calls do for every stretch of the segment's bytes [off, off+length)
// that lies in one shard, with how many bytes came before it.
func (b *Buffer) each(off, length int64, do func(stretch []byte, at int)) int {
	if off < 0 {
		return 0
	}
	at := int64(0)
	for at < length {
		i, o := (off+at)/b.size, (off+at)%b.size
		if i >= int64(b.n) {
			break
		}
		m := min(b.size-o, length-at)
		do(b.Shard(int(i))[o:o+m], int(at))
		at += m
	}
	return int(at)
}
