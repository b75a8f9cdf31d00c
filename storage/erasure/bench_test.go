package erasure

import (
	"fmt"
	"testing"
)

var profiles = [][2]int{{4, 10}, {20, 56}}

func BenchmarkEncode(b *testing.B) {
	for _, p := range profiles {
		b.Run(fmt.Sprintf("%d-of-%d", p[0], p[1]), func(b *testing.B) {
			c, shards := segment(b, p[0], p[1], 1<<20)
			b.SetBytes(int64(p[0]) << 20)
			for b.Loop() {
				if err := c.Encode(shards); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReconstruct makes all data shards from parity alone, as far as
// there is parity: the most expensive read.
func BenchmarkReconstruct(b *testing.B) {
	for _, p := range profiles {
		b.Run(fmt.Sprintf("%d-of-%d", p[0], p[1]), func(b *testing.B) {
			k, n := p[0], p[1]
			c, shards := segment(b, k, n, 1<<20)
			want := make([]bool, n)
			for i := range k {
				want[i] = true
			}
			b.SetBytes(int64(k) << 20)
			for b.Loop() {
				for i := range k {
					shards[i] = shards[i][:0]
				}
				if err := c.Reconstruct(shards, want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
