package audit

import (
	"slices"

	"github.com/cairnstore/cairn/protocol"
)

// Draw returns n of some segments, or all, each as likely as any other.
func Draw(segments []protocol.SegmentID, n int, u func() float64) []protocol.SegmentID {
	all := slices.Clone(segments)
	n = min(n, len(all))
	for i := range n {
		j := i + min(int(u()*float64(len(all)-i)), len(all)-i-1)
		all[i], all[j] = all[j], all[i]
	}
	return all[:n:n]
}
