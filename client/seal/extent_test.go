package seal

import (
	"bytes"
	cryptorand "crypto/rand"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestSealOpen(t *testing.T) {
	random := seeded(t)
	for _, c := range sizes {
		plain := make([]byte, c.plain)
		_, _ = random.Read(plain)
		key, extent, err := sealText(random, []byte("before"), plain)
		if err != nil {
			t.Fatalf("%s: %v", c.why, err)
		}
		mustOpen(t, key, extent[len("before"):], plain)
		if got, err := Open(key, []byte("before"), extent[6:]); err != nil || !bytes.Equal(got[6:], plain) {
			t.Fatalf("%s: open behind other bytes: %v", c.why, err)
		}
	}
}

// Random access gives the same bytes as the whole.
func TestRandomAccess(t *testing.T) {
	random := seeded(t)
	r := rand.New(random)
	for range 20 {
		plain := make([]byte, 1+r.Int64N(5*PartSize))
		_, _ = random.Read(plain)
		key, extent, err := sealText(random, nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		size, err := PlainSize(int64(len(extent)))
		if err != nil {
			t.Fatal(err)
		}
		o, err := NewOpener(key, extent[:CommitmentSize], size)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(plain))
		for _, i := range r.Perm(int(Parts(size))) {
			off, length := PartRange(int64(i), size)
			at := i * PartSize
			if _, err := o.OpenPart(got[at:at:len(got)], extent[off:off+length], int64(i)); err != nil {
				t.Fatalf("part %d of %d bytes: %v", i, size, err)
			}
		}
		if !bytes.Equal(got, plain) {
			t.Fatalf("parts of %d bytes in random order are not the whole", size)
		}
	}
}

// One Opener serves many goroutines.
func TestOpenerIsConcurrent(t *testing.T) {
	plain := pattern(6*PartSize + 1)
	extent := sealed(t, counting(3), plain)
	o, err := NewOpener(counting(3), extent[:CommitmentSize], int64(len(plain)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range Parts(int64(len(plain))) {
				off, length := PartRange(i, int64(len(plain)))
				got, err := o.OpenPart(nil, extent[off:off+length], i)
				if err != nil || !bytes.HasPrefix(plain[i*PartSize:], got) {
					t.Errorf("part %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

// In place, with room, neither side allocates, and the bytes are the same.
func TestInPlaceWithoutAllocation(t *testing.T) {
	plain := pattern(PartSize)
	want := sealed(t, counting(4), append(bytes.Clone(plain), plain...))
	s, err := newSealer(counting(4))
	if err != nil {
		t.Fatal(err)
	}
	commitment := s.Commitment()
	b := append(make([]byte, 0, CommitmentSize+2*sealedPart), commitment[:]...)
	for i := range 2 {
		room := b[len(b) : len(b)+PartSize]
		copy(room, plain)
		if b, err = s.SealPart(b, room, i == 1); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(b, want) {
		t.Fatal("sealing in place gave other bytes")
	}
	o, err := NewOpener(counting(4), b[:CommitmentSize], 2*PartSize)
	if err != nil {
		t.Fatal(err)
	}
	off, length := PartRange(1, 2*PartSize)
	part := b[off : off+length]
	if got, err := o.OpenPart(part[:0], part, 1); err != nil || !bytes.Equal(got, plain) || &got[0] != &part[0] {
		t.Fatalf("opening in place: %v", err)
	}
}

func TestPartsDoNotAllocate(t *testing.T) {
	plain, dst := pattern(PartSize), make([]byte, 0, sealedPart)
	s, err := NewSealer(cryptorand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20, func() { _, err = s.SealPart(dst, plain, false) }); n != 0 || err != nil {
		t.Errorf("SealPart: %v allocations, %v", n, err)
	}
	extent := sealed(t, counting(5), plain)
	o, err := NewOpener(counting(5), extent[:CommitmentSize], PartSize)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 0, PartSize)
	if n := testing.AllocsPerRun(20, func() { _, err = o.OpenPart(out, extent[CommitmentSize:], 0) }); n >= 1 || err != nil {
		t.Errorf("OpenPart: %v allocations, %v", n, err)
	}
}

func TestSealerRefuses(t *testing.T) {
	full := pattern(PartSize + 1)
	refused := func(s *Sealer, plain []byte, last bool, want error) {
		t.Helper()
		if b, err := s.SealPart(nil, plain, last); !errors.Is(err, want) || b != nil {
			t.Errorf("part of %d bytes, last %t: %d bytes, %v; want %v", len(plain), last, len(b), err, want)
		}
	}
	s, err := newSealer(counting(6))
	if err != nil {
		t.Fatal(err)
	}
	refused(s, nil, true, ErrPart)
	refused(s, nil, false, ErrPart)
	refused(s, full[:PartSize-1], false, ErrPart)
	refused(s, full, false, ErrPart)
	refused(s, full, true, ErrPart)
	first, err := s.SealPart(nil, full[:PartSize], false)
	if err != nil {
		t.Fatal(err)
	}
	refused(s, nil, true, ErrPart)
	all, err := s.SealPart(first, full[PartSize:], true)
	if err != nil {
		t.Fatal(err)
	}
	// The calls refused in between left no gap in the counter.
	commitment := s.Commitment()
	mustOpen(t, counting(6), append(commitment[:], all...), full)
	refused(s, full[:1], true, ErrFinished)
	refused(s, full[:PartSize], false, ErrFinished)
	refused(&Sealer{}, full[:1], true, ErrFinished)

	s, err = newSealer(counting(6))
	if err != nil {
		t.Fatal(err)
	}
	s.next = MaxPlain / PartSize // as if all before were sealed
	refused(s, full[:1], true, ErrPart)
}

// A copy could seal other texts under counters that the original uses.
func TestCopyOfSealerRefuses(t *testing.T) {
	s, err := newSealer(counting(8))
	if err != nil {
		t.Fatal(err)
	}
	c := &Sealer{self: s.self, key: s.key, commitment: s.commitment, aead: s.aead}
	if _, err := c.SealPart(nil, []byte("x"), true); !errors.Is(err, ErrFinished) {
		t.Fatalf("a copy sealed: %v", err)
	}
}

// Concurrent misuse must never use one counter twice.
func TestSealerCountsUnderRace(t *testing.T) {
	s, err := newSealer(counting(9))
	if err != nil {
		t.Fatal(err)
	}
	plain := pattern(PartSize)
	var mu sync.Mutex
	tags := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			b, err := s.SealPart(nil, plain, false)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || tags[string(b[PartSize:])] {
				t.Errorf("two equal seals of one text, or %v", err)
				return
			}
			tags[string(b[PartSize:])] = true
		})
	}
	wg.Wait()
}

func TestSealFailsWithItsSource(t *testing.T) {
	if _, err := NewSealer(bytes.NewReader(nil)); err == nil {
		t.Error("a Sealer without a key")
	}
	if _, _, err := sealText(bytes.NewReader(pattern(31)), nil, []byte("x")); err == nil {
		t.Error("a seal under a short key")
	}
	if _, _, err := sealText(cryptorand.Reader, nil, nil); !errors.Is(err, ErrPart) {
		t.Errorf("an empty text has an extent: %v", err)
	}
}

func TestPayload(t *testing.T) {
	random := seeded(t)
	read := counting(10)
	plain := (*[PayloadPlain]byte)(pattern(PayloadPlain))
	salt, payload, err := SealPayload(random, read, plain)
	if err != nil || len(payload) != PayloadSize {
		t.Fatalf("%d bytes, %v", len(payload), err)
	}
	salt2, again, err := SealPayload(random, read, plain)
	if err != nil || salt2 == salt || bytes.Equal(payload, again) {
		t.Fatalf("two payloads share a salt or bytes: %v", err)
	}
	if got, err := OpenPayload(read, salt, payload); err != nil || *got != *plain {
		t.Fatalf("open: %v", err)
	}
	salt[0] ^= 1
	other := counting(11)
	_, wrongSalt := OpenPayload(read, salt, payload)
	_, wrongSecret := OpenPayload(other, salt2, again)
	_, short := OpenPayload(read, salt2, again[:PayloadSize-1])
	_, long := OpenPayload(read, salt2, append(again, 0))
	for i, err := range []error{wrongSalt, wrongSecret, short, long} {
		if err != ErrOpen {
			t.Errorf("failure %d: %v", i, err)
		}
	}
	if _, _, err := SealPayload(bytes.NewReader(nil), read, plain); err == nil {
		t.Error("a payload without a salt")
	}
}
