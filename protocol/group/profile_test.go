package group

import (
	"testing"

	"github.com/cairnstore/cairn/protocol"
)

// The numbers of the norm, written out: a change here is a change of the norm.
func TestLadder(t *testing.T) {
	for _, c := range []struct {
		from, to int // domains
		profile  string
		safe     int // also the write quorum
		confirm  int
		ask      int
		segment  int64 // MiB
		group    int64 // GiB
		notSafe  bool
	}{
		{1, 1, "1/1/1", 1, 1, 1, 4, 1, true},
		{2, 2, "1/1/2", 2, 1, 2, 4, 1, true},
		{3, 6, "1/2/3", 3, 1, 3, 4, 1, false},
		{7, 14, "2/4/6", 5, 2, 6, 8, 2, false},
		{15, 33, "4/9/14", 12, 3, 15, 16, 4, false},
		{34, 63, "8/20/30", 25, 6, 33, 32, 8, false},
		{64, 1 << 20, "20/36/56", 46, 11, 61, 64, 20, false},
	} {
		for _, domains := range []int{c.from, c.to} {
			p, ok := Ladder(domains)
			if !ok || p.String() != c.profile {
				t.Errorf("%d domains: %s, not %s", domains, p, c.profile)
			}
		}
		p, err := protocol.ParseProfile(c.profile)
		if err != nil {
			t.Fatal(err)
		}
		got := [...]int{SafeAt(p), WriteQuorum(p), ConfirmCount(p), AskCount(p)}
		if want := [...]int{c.safe, c.safe, c.confirm, c.ask}; got != want {
			t.Errorf("%s: safe, write, confirm, ask %v, not %v", p, got, want)
		}
		if protocol.SegmentSize(p.K) != c.segment<<20 || MaxBytes(p) != c.group<<30 {
			t.Errorf("%s: segment %d, group %d bytes", p, protocol.SegmentSize(p.K), MaxBytes(p))
		}
		if NotSafe(p) != c.notSafe {
			t.Errorf("%s: not safe %v", p, NotSafe(p))
		}
		if AskCount(p) > c.from {
			t.Errorf("%s asks %d candidates, but begins at %d domains", p, AskCount(p), c.from)
		}
	}
	if p, ok := Ladder(0); ok {
		t.Errorf("no domain: %s", p)
	}
	if MaxSegments != 4096 {
		t.Errorf("%d segments a group", MaxSegments)
	}
	for _, p := range []protocol.Profile{{K: 4, R: 4, N: 5}, {K: 3, R: 3, N: 3}} {
		if !NotSafe(p) {
			t.Errorf("%s counts as safe", p)
		}
	}
}

// Every read quorum meets every write quorum.
func TestQuorumsMeet(t *testing.T) {
	for _, s := range ladder {
		if WriteQuorum(s.profile)+ConfirmCount(s.profile) <= s.profile.N {
			t.Errorf("%s: a write and a read may miss one another", s.profile)
		}
	}
}
