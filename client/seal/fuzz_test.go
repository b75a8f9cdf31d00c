package seal

import (
	"bytes"
	"testing"

	"github.com/cairnstore/cairn/lab/fuzz"
)

// FuzzOpen: whatever opens seals to the same bytes again, its parts open as the
// whole does, and every failure is ErrOpen.
func FuzzOpen(f *testing.F) {
	good := sealed(f, counting(0), pattern(77))
	f.Add(good, int64(77), int64(0))
	f.Add(good[:CommitmentSize], int64(1), int64(0))
	f.Add([]byte{}, int64(-1), int64(-1))
	fuzz.Run3(f, func(t *fuzz.T, extent []byte, size, index int64) {
		key := counting(0)
		var plain []byte
		var err error
		t.Frugal(uint64(1<<20+64*len(extent)), func() { plain, err = Open(key, nil, extent) })
		if err != nil && err != ErrOpen {
			t.Fatalf("another error: %v", err)
		}
		if err == nil && !bytes.Equal(sealed(t, key, plain), extent) {
			t.Fatal("what opened seals to other bytes")
		}
		o, err := NewOpener(key, extent[:min(len(extent), CommitmentSize)], size)
		if err != nil {
			return
		}
		off, length := PartRange(index, size)
		if off < 0 || length < 0 || off+length > SealedSize(size) {
			t.Fatalf("part %d of %d bytes lies at %d+%d", index, size, off, length)
		}
		off = min(off, int64(len(extent)))
		part, err := o.OpenPart(nil, extent[off:min(off+length, int64(len(extent)))], index)
		if err != nil && err != ErrOpen {
			t.Fatalf("another error: %v", err)
		}
		if err == nil && plain != nil && size == int64(len(plain)) && !bytes.HasPrefix(plain[index*PartSize:], part) {
			t.Fatalf("part %d is not the whole's", index)
		}
	})
}

// FuzzOpenParts takes the parts as the fuzzer gives them, behind a valid commitment,
// so that it gets past the first comparison. Its seeds are small for speed (FuzzOpen
// made 3,000 executions a second with a seed of one part, 63,000 without);
// TestTampered covers extents of many parts.
func FuzzOpenParts(f *testing.F) {
	f.Add(sealed(f, counting(0), pattern(77))[CommitmentSize:])
	commitment := commitmentOf(counting(0))
	fuzz.Run(f, func(t *fuzz.T, parts []byte) {
		extent := append(commitment[:], parts...)
		var plain []byte
		var err error
		t.Frugal(uint64(1<<20+64*len(parts)), func() { plain, err = Open(counting(0), nil, extent) })
		if err != nil {
			if err != ErrOpen || plain != nil {
				t.Fatalf("%d bytes, %v", len(plain), err)
			}
			return
		}
		if !bytes.Equal(sealed(t, counting(0), plain), extent) {
			t.Fatal("what opened seals to other bytes")
		}
	})
}

// FuzzSizes: the functions of size agree on all numbers.
func FuzzSizes(f *testing.F) {
	for _, c := range sizes {
		f.Add(c.plain)
	}
	fuzz.Run(f, func(t *fuzz.T, n int64) {
		var plain int64
		var err error
		t.Frugal(1<<20, func() { plain, err = PlainSize(n) })
		if err == nil && (SealedSize(plain) != n || PlainCapacity(n) != plain) {
			t.Fatalf("%d sealed bytes, %d plain", n, plain)
		}
		if fits := PlainCapacity(n); fits < 0 || SealedSize(fits) > max(n, 0) {
			t.Fatalf("%d plain bytes do not fit in %d", fits, n)
		}
		if Parts(n) > 0 {
			checkSize(t, n)
		}
	})
}

// FuzzOpenFile: no file makes OpenFile stretch a key with memory outside the bounds,
// and whatever opens under a passphrase is what was sealed.
func FuzzOpenFile(f *testing.F) {
	good, err := sealFile(bytes.NewReader(pattern(int64(fileHeader))), []byte("plain"), MinFileMemory, quick("p"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:minFile])
	f.Add([]byte(fileMagic))
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		key := func(salt []byte, memory int) Key {
			if memory < MinFileMemory || memory > MaxFileMemory {
				t.Fatalf("%d MiB", memory)
			}
			return quick("p")(salt, memory)
		}
		var plain []byte
		var err error
		t.Frugal(uint64(1<<20+64*len(b)), func() { plain, err = openFile(b, key) })
		if err != nil {
			if err != ErrOpen || plain != nil {
				t.Fatalf("%d bytes, %v", len(plain), err)
			}
			return
		}
		memory, _ := parseFile(b)
		again, err := sealFile(bytes.NewReader(b[fileSalt:fileHeader]), plain, memory, quick("p"))
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("what opened seals to other bytes: %v", err)
		}
	})
}
