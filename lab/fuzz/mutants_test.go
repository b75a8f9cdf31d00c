package fuzz

import (
	"fmt"
	"testing"
)

func TestScan(t *testing.T) {
	signed := []byte{0xa2, 0x63, 's', 'i', 'g', 0x42, 1, 2, 0x64, 'b', 'o', 'd', 'y', 0x43, 0xa1, 0x01, 0x02}
	for name, c := range map[string]struct {
		in   []byte
		want string // of each item: its place, head, end, type, index of what it is in
	}{
		"a map in a string": {signed, "0+1-17:5/-1 1+1-5:3/0 5+1-8:2/0 8+1-13:3/0 13+1-17:2/0 14+1-17:5/4 15+1-16:0/5 16+1-17:0/5"},
		"behind raw bytes":  {append([]byte{3}, 0x81, 0xf6), "1+1-3:4/-1 2+1-3:7/0"},
		"two frames":        {[]byte{2, 0, 0, 1, 0xa0, 9, 0, 0, 3, 0xa1, 0x60, 0x05}, "0+4-5:8/-1 4+1-5:5/0 5+4-12:8/-1 9+1-12:5/2 10+1-11:3/3 11+1-12:0/3"},
		"cut short":         {signed[:12], ""},
		"huge":              {[]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, ""},
		"endless":           {[]byte{0xbf, 0xff}, ""},
		"no bytes":          {nil, ""},
	} {
		got := ""
		for i, it := range scan(c.in, nil) {
			if i > 0 {
				got += " "
			}
			got += fmt.Sprintf("%d+%d-%d:%d/%d", it.at, it.head, it.end, it.major, it.up)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// CBOR that was changed as CBOR is mostly CBOR still, at every depth. Otherwise
// all mutants would fail at their first byte.
func TestMutantsAreMeaningful(t *testing.T) {
	inner := append([]byte{0x58, byte(len(someMap))}, someMap...)
	frame := append([]byte{7, 0, 0, byte(len(inner) + 3), 0xa1, 0x61, 'x'}, inner...)
	m := newMutants(1, []input{{frame}})
	const all = 10_000
	whole, deep := 0, 0
	for i := range uint64(all) {
		b := m.at(i)[0].([]byte)
		items := scan(b, nil)
		if len(items) > 0 && items[0].end == len(b) {
			whole++
		}
		if len(items) > 6 {
			deep++
		}
	}
	if whole < all/3 || deep < all/3 {
		t.Errorf("of %d mutants %d are one whole frame, %d have the inner map", all, whole, deep)
	}
}

func TestMutantsRepeat(t *testing.T) {
	corpus := []input{{someMap, int64(1), uint32(2)}, {[]byte("text"), int64(-1), uint32(0)}, {[]byte{}, int64(0), uint32(9)}}
	m := newMutants(7, corpus)
	var want []string
	for i := range uint64(1000) {
		want = append(want, fmt.Sprint(m.at(i)))
	}
	for i := range uint64(1000) {
		if got := fmt.Sprint(m.at(999 - i)); got != want[999-i] {
			t.Fatalf("mutant %d was %s and is %s", 999-i, want[999-i], got)
		}
	}
	if fmt.Sprint(newMutants(8, corpus).at(5)) == want[5] {
		t.Error("another seed makes the same mutants")
	}
	if fmt.Sprint(corpus[0]) != fmt.Sprint(input{someMap, int64(1), uint32(2)}) {
		t.Error("a mutant has changed its seed")
	}
}
