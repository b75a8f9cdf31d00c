package protocol

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

const codingHead = `
Coding of segments: SPEC.md, "Coding". The segment of a vector is its "size" bytes of the generator in
shards.txt. "matrix" holds the rows k … n-1 of the coding matrix. The bytes of a vector are the n shards
one after another or, where "digests" is yes, their BLAKE3-256 digests, which are the descriptor's roots.`

func codingVectors(*world) (string, []vector) {
	var list []vector
	for _, c := range []struct{ k, n, size int }{
		{1, 1, 1}, {1, 3, 64}, {2, 3, 65}, {2, 6, 200}, {4, 14, 257}, {4, 14, 100_000}, {8, 30, 1 << 20}, {20, 56, 3<<20 + 1}, {26, 128, 70_000},
	} {
		list = append(list, codingVector(c.k, c.n, c.size))
	}
	return codingHead, list
}

func codingVector(k, n, size int) vector {
	shards := codeByTheNorm(k, n, generated(size))
	v := okVector(fmt.Sprintf("coding/%d-%d-%d", k, n, size), "coding", "", nil).with("k", k).with("n", n).with("size", size).with("shardSize", len(shards[0]))
	v.about = fmt.Sprintf("%d bytes in %d data shards and %d others", size, k, n-k)
	if n <= 30 && n > k {
		v = v.with("matrix", matrixText(codingMatrix(k, n)[k:]))
	}
	if n*len(shards[0]) <= 2<<10 {
		v.bytes = bytes.Join(shards, nil)
		return v.with("digests", "no")
	}
	for _, s := range shards {
		sum := Sum(s)
		v.bytes = append(v.bytes, sum[:]...)
	}
	return v.with("digests", "yes")
}

func matrixText(rows [][]byte) string {
	var out []string
	for _, r := range rows {
		out = append(out, hex.EncodeToString(r))
	}
	return strings.Join(out, " ")
}

func checkCoding(t *testing.T, v vector) {
	again := codingVector(v.number(t, "k"), v.number(t, "n"), v.number(t, "size"))
	if !bytes.Equal(again.bytes, v.bytes) {
		t.Errorf("coded to %x", again.bytes)
	}
}

// codeByTheNorm codes a segment as SPEC.md says, slowly and independently of the
// library that package storage/erasure uses.
func codeByTheNorm(k, n int, segment []byte) [][]byte {
	size := int(ShardSize(int64(len(segment)), k))
	shards := make([][]byte, n)
	flat := make([]byte, n*size)
	copy(flat, segment)
	for i := range shards {
		shards[i] = flat[i*size : (i+1)*size]
	}
	for r, row := range codingMatrix(k, n)[k:] {
		for c, f := range row {
			var times [256]byte
			for x := range times {
				times[x] = gfMul(f, byte(x))
			}
			for i, x := range shards[c] {
				shards[k+r][i] ^= times[x]
			}
		}
	}
	return shards
}

// gfMul multiplies in GF(2^8) modulo x^8+x^4+x^3+x^2+1.
func gfMul(a, b byte) (out byte) {
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			out ^= a
		}
		carry := a & 0x80
		a <<= 1
		if carry != 0 {
			a ^= 0x1d
		}
	}
	return out
}

func gfPow(a byte, e int) byte {
	out := byte(1)
	for range e {
		out = gfMul(out, a)
	}
	return out
}

func gfInverse(a byte) byte { return gfPow(a, 254) }

// codingMatrix returns V times the inverse of its first k rows, where V has n
// rows and k columns and V[r][c] = r^c.
func codingMatrix(k, n int) [][]byte {
	// Column operations turn the first k rows of V into the identity; the same
	// operations on all rows multiply V by the inverse of these.
	v := make([][]byte, n)
	for r := range v {
		v[r] = make([]byte, k)
		for c := range v[r] {
			v[r][c] = gfPow(byte(r), c)
		}
	}
	for p := range k {
		q := p
		for v[p][q] == 0 {
			q++ // the first k rows of V are of full rank
		}
		for r := range v {
			v[r][p], v[r][q] = v[r][q], v[r][p]
		}
		inv := gfInverse(v[p][p])
		for r := range v {
			v[r][p] = gfMul(v[r][p], inv)
		}
		for c := range k {
			if f := v[p][c]; c != p && f != 0 {
				for r := range v {
					v[r][c] ^= gfMul(f, v[r][p])
				}
			}
		}
	}
	return v
}
