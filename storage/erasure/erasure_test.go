package erasure

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/zeebo/blake3"
)

const (
	seed  = 7  // of every random byte here
	align = 64 // what every shard's length is a multiple of, in bytes
)

// blank returns n shards of size bytes, 64 bytes apart: shards at multiples of a
// power of two would fall into the same cache sets.
func blank(n int, size int64) [][]byte {
	mem, out := make([]byte, int64(n)*(size+64)), make([][]byte, n)
	for i := range out {
		out[i] = mem[int64(i)*(size+64):][:size:size]
	}
	return out
}

// segment returns n coded shards of size bytes.
func segment(t testing.TB, k, n int, size int64) (*Code, [][]byte) {
	t.Helper()
	c, err := New(k, n)
	if err != nil {
		t.Fatal(err)
	}
	shards := blank(n, size)
	rng := rand.New(rand.NewPCG(seed, uint64(k)<<32|uint64(n)))
	for _, s := range shards[:k] {
		for i := range s {
			s[i] = byte(rng.Uint32())
		}
	}
	if err := c.Encode(shards); err != nil {
		t.Fatal(err)
	}
	return c, shards
}

func TestEveryLossPattern(t *testing.T) {
	for n := 1; n <= 8; n++ {
		for k := 1; k <= n; k++ {
			c, whole := segment(t, k, n, 3*align)
			for lost := range 1 << n {
				checkLoss(t, c, whole, lost)
			}
		}
	}
}

// checkLoss reconstructs the lost shards of even number, then those of odd
// number. Bit i of lost stands for shard i.
func checkLoss(t *testing.T, c *Code, whole [][]byte, lost int) {
	t.Helper()
	present := 0
	for parity := range 2 {
		shards, want := make([][]byte, c.n), make([]bool, c.n)
		present = 0
		wanted := 0
		for i := range shards {
			if lost>>i&1 == 0 {
				shards[i] = whole[i]
				present++
				continue
			}
			if want[i] = i%2 == parity; want[i] {
				wanted++
			}
		}
		err := c.Reconstruct(shards, want)
		if present < c.k && wanted > 0 {
			if !errors.Is(err, ErrTooFew) {
				t.Fatalf("%d of %d, lost %b: got %v, want ErrTooFew", c.k, c.n, lost, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%d of %d, lost %b: %v", c.k, c.n, lost, err)
		}
		for i, s := range shards {
			missing := lost>>i&1 == 1
			if missing && !want[i] && len(s) != 0 {
				t.Fatalf("%d of %d, lost %b: shard %d was made unasked", c.k, c.n, lost, i)
			}
			if (!missing || want[i]) && !bytes.Equal(s, whole[i]) {
				t.Fatalf("%d of %d, lost %b: shard %d is wrong", c.k, c.n, lost, i)
			}
		}
	}
}

func TestReconstructColumnsInPlace(t *testing.T) {
	const size = 2*column + 5*align // two whole columns and a part of one
	c, whole := segment(t, 4, 10, size)
	for _, cut := range [][2]int{{0, size}, {align, 3 * align}, {column - 1, column + 1}, {size - 1, size}} {
		shards, want := make([][]byte, 10), make([]bool, 10)
		room := make([]byte, 10*size)
		for i := range shards {
			if i%3 == 0 { // 0, 3, 6 and 9 remain
				shards[i] = whole[i][cut[0]:cut[1]]
				continue
			}
			shards[i], want[i] = room[i*size:i*size:(i+1)*size], true
		}
		if err := c.Reconstruct(shards, want); err != nil {
			t.Fatal(err)
		}
		for i, s := range shards {
			if !bytes.Equal(s, whole[i][cut[0]:cut[1]]) {
				t.Errorf("columns %v: shard %d is wrong", cut, i)
			}
			if want[i] && &s[0] != &room[i*size] {
				t.Errorf("columns %v: shard %d was not made in place", cut, i)
			}
		}
	}
}

func TestMirrorsAndNoParity(t *testing.T) {
	_, mirrors := segment(t, 1, 3, align)
	if !bytes.Equal(mirrors[0], mirrors[1]) || !bytes.Equal(mirrors[0], mirrors[2]) {
		t.Error("1 of 3: shards are not copies")
	}
	_, plain := segment(t, 3, 3, align)
	if len(plain) != 3 {
		t.Errorf("3 of 3: %d shards", len(plain))
	}
}

// TestVector fixes the code itself: nodes with other parity bytes would be
// another network.
func TestVector(t *testing.T) {
	for _, v := range []struct {
		k, n int
		root string
	}{
		{4, 10, "822fa9d99bfdeb750ad80a1969fc73cb9aef1f6cf622e6a45f0b6cd1b558190c"},
		{20, 56, "6e980378250eb50d8d993fce0b9a81f4578aea62ad5e75ffae52872896d40b38"},
	} {
		c, err := New(v.k, v.n)
		if err != nil {
			t.Fatal(err)
		}
		shards := blank(v.n, align)
		for i, s := range shards[:v.k] {
			for j := range s {
				s[j] = byte(i*align + j)
			}
		}
		if err := c.Encode(shards); err != nil {
			t.Fatal(err)
		}
		sum := blake3.Sum256(bytes.Join(shards, nil))
		if got := hex.EncodeToString(sum[:]); got != v.root {
			t.Errorf("%d of %d: shards hash to %s, want %s", v.k, v.n, got, v.root)
		}
	}
}

func TestShape(t *testing.T) {
	for _, v := range [][2]int{{0, 1}, {-1, 3}, {3, 2}, {1, MaxShards + 1}} {
		if _, err := New(v[0], v[1]); !errors.Is(err, ErrShape) {
			t.Errorf("New(%d, %d): %v, want ErrShape", v[0], v[1], err)
		}
	}
	c, shards := segment(t, 2, 4, align)
	if err := c.Encode(shards[:3]); !errors.Is(err, ErrShape) {
		t.Errorf("encode 3 of 4 shards: %v", err)
	}
	if err := c.Encode([][]byte{shards[0], shards[1][:1], shards[2], shards[3]}); !errors.Is(err, ErrShape) {
		t.Errorf("encode unequal shards: %v", err)
	}
	if err := c.Encode([][]byte{shards[0], shards[1], shards[2], nil}); !errors.Is(err, ErrShape) {
		t.Errorf("encode without room for a shard: %v", err)
	}
	if err := c.Reconstruct([][]byte{shards[0], shards[1][:1], nil, nil}, make([]bool, 4)); !errors.Is(err, ErrShape) {
		t.Errorf("reconstruct from unequal shards: %v", err)
	}
	if err := c.Reconstruct(shards, make([]bool, 2)); !errors.Is(err, ErrShape) {
		t.Errorf("reconstruct with a short want: %v", err)
	}
	if err := c.Reconstruct(make([][]byte, 4), []bool{true, false, false, false}); !errors.Is(err, ErrTooFew) {
		t.Errorf("reconstruct from nothing: %v", err)
	}
}
