package neighbours

import (
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// BenchmarkAuditsOfADay plans a day's audits of a node with 100,000 shards in
// 1,000 groups of 56, without asking anybody, and says what they would carry: in
// a month, for each TB stored in shards of 3.3 MB.
func BenchmarkAuditsOfADay(b *testing.B) {
	const groups, segments = 1000, 100
	h := newView(groups, protocol.Profile{K: 20, R: 36, N: 56}, 10_000)
	var mono time.Duration
	h.mono = func() time.Duration { return mono }
	h.now = func() time.Time { return epoch.Add(mono) }
	r := seeded(b, 74)
	u := r.Float64
	held := make([]protocol.SegmentID, segments)
	asked, days := 0, 0
	for _, p := range h.peers {
		p.proved = true
	}
	for b.Loop() {
		for end := mono + 24*time.Hour; mono < end; mono += 10 * time.Minute {
			due, _ := h.PassesDue()
			for _, id := range due {
				for i := range held {
					held[i] = protocol.SegmentID(protocol.Sum(append(id[:], byte(i))))
				}
				for _, j := range h.PlanPass(id, held, u) {
					asked += len(j.ByLot) + len(j.Besides)
				}
			}
		}
		days++
	}
	perDay := float64(asked) / float64(days)
	b.ReportMetric(perDay, "shards/day")
	b.ReportMetric(perDay*30*protocol.MaxChunkSlice/(groups*segments)*(1e12/3.3e6)/1e9, "GB/TB/month")
}
