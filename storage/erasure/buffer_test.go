package erasure

import (
	"bytes"
	"testing"
)

func TestBufferIsTheSegment(t *testing.T) {
	const k, n, size = 3, 5, int64(2 * Align)
	b := NewBuffer(n, size)
	text := bytes.Repeat([]byte("0123456789abc"), 40)[:int(k*size)-70]
	for at := 0; at < len(text); at += 13 {
		part := text[at:min(at+13, len(text))]
		if got := b.WriteAt(part, int64(at)); got != len(part) {
			t.Fatalf("write %d bytes at %d: %d found room", len(part), at, got)
		}
	}
	b.Shard(2)[size-1] = 1 // left over from an earlier segment
	b.ZeroTail(int64(len(text)), k)
	want := append(bytes.Clone(text), make([]byte, 70)...)
	if got := bytes.Join(b.Shards()[:k], nil); !bytes.Equal(got, want) {
		t.Error("the data shards in order are not the segment and zeros")
	}
	got := make([]byte, 200)
	if m := b.ReadAt(got, 100); m != 200 || !bytes.Equal(got, want[100:300]) {
		t.Errorf("read 200 bytes at 100: %d bytes, equal %t", m, bytes.Equal(got, want[100:300]))
	}
	if m := b.ReadAt(got, n*size-10); m != 10 {
		t.Errorf("read over the end: %d bytes, want 10", m)
	}
	if m := b.WriteAt(got, -1); m != 0 {
		t.Errorf("write before the start: %d bytes, want 0", m)
	}
}

func TestBufferResize(t *testing.T) {
	b := NewBuffer(4, 4*Align)
	if !b.Resize(Align) || b.ShardSize() != Align || len(b.Shard(3)) != Align {
		t.Error("cannot shrink")
	}
	if !b.Resize(4 * Align) {
		t.Error("cannot grow back")
	}
	if b.Resize(5*Align) || b.Resize(0) || b.ShardSize() != 4*Align {
		t.Error("took a size that has no room")
	}
}
