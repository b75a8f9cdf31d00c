package audit

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// A holder's record decides the same in scaled time, is never healthy without a
// proof that counts, and one audit that succeeds never makes it worse.
func TestRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom([]float64{2, 0.5, 1.0 / 64}).Draw(t, "factor")
		other := defaults.Scale(f)
		var a, b Record
		now, proved := time.Duration(0), time.Duration(-1)
		for range rapid.IntRange(1, 80).Draw(t, "audits") {
			now += time.Duration(rapid.Int64Range(0, 100).Draw(t, "hours")) * time.Hour
			later := time.Duration(float64(now) * f)
			o := Outcome(rapid.IntRange(int(OK), int(Reported)).Draw(t, "outcome"))
			self := rapid.Bool().Draw(t, "self")
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				a, b, o = a.Mended(&defaults, now, self), b.Mended(&other, later, self), OK
			case 1:
				a, b, o = a.Dropped(self), b.Dropped(self), Offline
			default:
				var x, y Next
				a, x = a.Saw(&defaults, now, o)
				b, y = b.Saw(&other, later, o)
				if x != y {
					t.Fatalf("%d and %d follow %s", x, y, o)
				}
			}
			if o == OK {
				proved = now
			}
			if a.Failed(&defaults, now) != b.Failed(&other, later) || a.Healthy(&defaults, now) != b.Healthy(&other, later) {
				t.Fatalf("%+v, scaled %+v", a, b)
			}
			if a.Healthy(&defaults, now) && (proved < 0 || now-proved > defaults.ProofFor) {
				t.Fatalf("healthy without proof: %+v", a)
			}
			better, _ := a.Saw(&defaults, now, OK)
			if a.Healthy(&defaults, now) && !better.Healthy(&defaults, now) {
				t.Fatalf("an audit that succeeds makes %+v worse", a)
			}
		}
	})
}

// Members that see the same members living agree on the auditor, and every holder
// owes it what it asks, whichever others the holder sees living.
func TestAuditorsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 56).Draw(t, "members")
		all := keys(n)
		shard := group.Lot(rapid.Uint64().Draw(t, "shard"))
		holder := rapid.IntRange(0, n-1).Draw(t, "holder")
		living := group.UpTo(n)
		for range rapid.IntRange(0, Places-1).Draw(t, "dead") {
			living.Remove(rapid.IntRange(0, n-1).Draw(t, "one"))
		}
		auditor := Auditor(shard, all, living, holder)
		if auditor < 0 {
			return
		}
		if auditor == holder || !living.Has(auditor) {
			t.Fatalf("%d audits %d", auditor, holder)
		}
		if _, ok := Asked(0).Allow(shard, all, group.UpTo(n), holder, auditor); !ok {
			t.Fatal("the auditor is owed nothing")
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	all, living := keys(56), group.UpTo(56)
	var r Record
	if n := testing.AllocsPerRun(100, func() {
		m := At(&defaults, Phase(&defaults, protocol.GroupID{1}), time.Unix(1_800_000_000, 0))
		shard := SegmentLot(protocol.GroupID{1}, protocol.SegmentID{2}, m.Cycle).Of(3)
		if Due(&defaults, shard) <= m.Into && Auditor(shard, all, living, 3) == 4 {
			r, _ = r.Saw(&defaults, 5, OK)
		}
		if _, ok := Asked(0).Allow(shard, all, living, 3, 4); ok || r.Healthy(&defaults, 6) {
			r, _ = r.Saw(&defaults, 5, Slow)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// How long it takes to tell whether one of a group's shards is this member's to audit:
// the segment's lot is made once for all its slots.
func BenchmarkAuditor(b *testing.B) {
	all, living := keys(30), group.UpTo(30)
	b.ReportAllocs()
	var lot group.Lot
	mine := 0
	for i := 0; b.Loop(); i++ {
		if i%30 == 0 {
			lot = SegmentLot(protocol.GroupID{1}, protocol.SegmentID{byte(i)}, 7)
		}
		if Auditor(lot.Of(i%30), all, living, i%30) == 4 {
			mine++
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
	b.ReportMetric(float64(mine)/float64(b.N), "mine")
}

func BenchmarkRecord(b *testing.B) {
	var r Record
	b.ReportAllocs()
	healthy := 0
	for i := time.Duration(0); b.Loop(); i++ {
		r, _ = r.Saw(&defaults, i, Outcome(i&1))
		if r.Healthy(&defaults, i) {
			healthy++
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}
