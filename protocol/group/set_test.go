package group

import "testing"

func TestSet(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 63, 64, 65, 128, 255, 256, 300} {
		s := UpTo(n)
		if want := min(max(n, 0), MaxMembers); s.Count() != want || s.Has(want) || want > 0 && !s.Has(want-1) {
			t.Errorf("full %d: %v", n, s)
		}
	}
	var s Set
	for _, i := range []int{-1, 0, 64, 200, 256, 1 << 40} {
		s.Add(i)
	}
	if s.Count() != 3 || !s.Has(200) || s.Has(-1) || s.Has(256) {
		t.Error(s)
	}
	if o := s.And(UpTo(64)); o.Count() != 1 {
		t.Error(o)
	}
	if o := s.Or(UpTo(64)); o.Count() != 66 {
		t.Error(o)
	}
	if o := s.Without(UpTo(64)); o.Count() != 2 {
		t.Error(o)
	}
	s.Remove(200)
	s.Remove(999)
	if s.Count() != 2 {
		t.Error(s)
	}
}
