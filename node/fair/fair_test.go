package fair

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Whatever is added and taken, the first has most and the total is the sum.
func TestCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var c Counts[int]
	want := make(map[int]int)
	for range 20_000 {
		crowd := r.IntN(30)
		n := r.IntN(12) - 5
		n = max(n, -want[crowd])
		c.Add(crowd, n)
		want[crowd] += n
		most, total := 0, 0
		for _, n := range want {
			most, total = max(most, n), total+n
		}
		first, n := c.Most()
		if n != most || want[first] != most || c.Total() != total || c.Of(crowd) != want[crowd] {
			t.Fatalf("crowd %d has %d of %d, want %d of %d", first, n, c.Total(), most, total)
		}
	}
	for crowd, n := range want {
		c.Add(crowd, -n)
	}
	if _, n := c.Most(); n != 0 || c.Total() != 0 || len(c.of) != 0 {
		t.Errorf("%d of %d are left, of %d crowds", n, c.Total(), len(c.of))
	}
}

// A party that fills a table, by groups or by addresses, makes room for all that have
// less.
func TestCrowdGivesWay(t *testing.T) {
	for _, goes := range []Goes{Newest, Oldest} {
		tab := NewTable[string, string, int](100, goes, nil)
		for i := range 1000 { // many groups, one address
			tab.Put(fmt.Sprint("a", i), i, fmt.Sprint("group", i), "address")
		}
		for i := range 1000 { // one group, many addresses
			tab.Put(fmt.Sprint("b", i), i, "group", fmt.Sprint("address", i))
		}
		for i := range 30 {
			if !tab.Put(fmt.Sprint("honest", i), i, fmt.Sprint("some", i/10), fmt.Sprint("where", i)) {
				t.Fatalf("%v: no room for the %dth of few", goes, i)
			}
		}
		for i := range 1000 {
			tab.Put(fmt.Sprint("c", i), i, fmt.Sprint("other", i%5), "address")
			tab.Put(fmt.Sprint("d", i), i, fmt.Sprint("other", i%5), fmt.Sprint("there", i%5))
		}
		for i := range 30 {
			if _, ok := tab.Get(fmt.Sprint("honest", i)); !ok {
				t.Errorf("%v: the %dth of few had to give way", goes, i)
			}
		}
		if tab.Len() != 100 {
			t.Errorf("%d entries", tab.Len())
		}
	}
}

// In the most crowded crowd the entry that came last gives way, or the one that came
// first. Where all crowds have as many, an entry makes room for one of its own crowd
// only if it is the oldest that goes.
func TestWhoGivesWay(t *testing.T) {
	for _, c := range []struct {
		goes      Goes
		few, more []string
	}{
		{Newest, []string{"a1", "a2", "b1"}, []string{"a1", "a2", "b1"}},
		{Oldest, []string{"a2", "a3", "b1"}, []string{"a3", "b1", "a4"}},
	} {
		var gone int
		tab := NewTable[string, string, int](3, c.goes, func(string, int) { gone++ })
		for _, k := range []string{"a1", "a2", "a3", "b1"} {
			tab.Put(k, 0, k[:1])
		}
		if got := keys(tab); !slices.Equal(got, c.few) || gone != 1 {
			t.Errorf("%v are left, %d are gone", got, gone)
		}
		if took := tab.Put("a4", 0, "a"); took != (c.goes == Oldest) || !slices.Equal(keys(tab), c.more) {
			t.Errorf("%v are left; one more: %v", keys(tab), took)
		}
		tab.Delete("b1")
		if !tab.Put("c1", 0, "c") || !tab.Put("d1", 0, "d") || tab.Put("e1", 0, "e") {
			t.Errorf("%v are left: one each, and nobody gives way", keys(tab))
		}
	}
}

// Whatever comes and goes, crowds, ages and counts are those of the entries.
func TestTableIsConsistent(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, goes := range []Goes{Newest, Oldest} {
		gone := make(map[int]int)
		tab := NewTable[int, int, int](50, goes, func(k, _ int) { gone[k]++ })
		put := make(map[int]int)
		for i := range 20_000 {
			k := r.IntN(200)
			if r.IntN(3) == 0 {
				tab.Delete(k)
			} else if tab.Put(k, i, r.IntN(5), 100+r.IntN(40)) {
				put[k]++
			}
		}
		n, last := 0, -1
		for k, v := range tab.All() {
			put[k]--
			n++
			if v < last {
				t.Fatal("not in order of age")
			}
			last = v
		}
		for k, n := range put {
			if gone[k] != n {
				t.Errorf("%d: %d times gone, want %d", k, gone[k], n)
			}
		}
		for name, c := range tab.crowds {
			in := 0
			for k := range tab.In(name) {
				if _, ok := tab.Get(k); ok {
					in++
				}
			}
			if in != c.list.Len() || in != tab.counts.Of(c) {
				t.Errorf("crowd %d: %d of %d, counted %d", name, in, c.list.Len(), tab.counts.Of(c))
			}
		}
		if tab.In(1000)(func(int, int) bool { t.Error("nobody is here"); return false }); n != tab.Len() || tab.counts.Total() != 2*n {
			t.Errorf("%d of %d entries, counted %d", n, tab.Len(), tab.counts.Total())
		}
	}
}

func keys(t *Table[string, string, int]) (out []string) {
	for k := range t.All() {
		out = append(out, k)
	}
	return out
}
