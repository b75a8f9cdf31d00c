package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"
)

func TestScannerSeesAcrossWindows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	needle := []byte("needle-in-the-hay")
	for _, at := range []int{0, 1<<20 - 1, 1<<20 - 17, 1<<20 - 8, 1 << 20, 2<<20 - 9, 3<<20 - 17} {
		b := make([]byte, 3<<20)
		copy(b[at:], needle)
		write(t, path, string(b))
		s := &scanner{needles: [][]byte{[]byte("other"), needle}}
		if err := s.file(path); err == nil {
			t.Errorf("not found at %d", at)
		}
	}
	write(t, path, string(bytes.Repeat([]byte("needle-in-the-ha"), 1<<17)))
	s := &scanner{needles: [][]byte{needle}}
	if err := s.tree(t.Context(), filepath.Dir(path)); err != nil || s.read != 16<<17 {
		t.Errorf("%d bytes read: %v", s.read, err)
	}
}

// TestDoomed: the holders of all data slots are killed and as many more as the demo
// says, hinted ones last, and never more than the profile tolerates.
func TestDoomed(t *testing.T) {
	for _, c := range []struct{ k, n, want int }{{4, 14, 6}, {2, 6, 4}, {1, 3, 2}, {8, 30, 10}} {
		h := healthResult{K: c.k, N: c.n}
		hinted := make(map[string]bool)
		for i := range c.n {
			p := string(rune('a' + i))
			h.Holders = append(h.Holders, healthHolder{Slot: i, Peer: p})
			if i >= c.n-4 {
				hinted[p] = true
			}
		}
		got := chooseDoomed(h, hinted)
		if len(got) != c.want {
			t.Errorf("%d/%d: %d die, not %d", c.k, c.n, len(got), c.want)
		}
		for i := range c.k {
			if !slices.Contains(got, string(rune('a'+i))) {
				t.Errorf("%d/%d: slot %d lives", c.k, c.n, i)
			}
		}
		if slices.Contains(got, string(rune('a'+c.n-1))) {
			t.Errorf("%d/%d: the last hinted one dies", c.k, c.n)
		}
	}
}

func TestGifts(t *testing.T) {
	h := home{filepath.FromSlash("/h")}
	if g, err := parseGift(h, "200GB"); err != nil || g.Bytes != 200e9 || g.Dir != h.node(storeDir) {
		t.Errorf("%+v, %v", g, err)
	}
	if g, err := parseGift(h, "1TB:/mnt/a:b"); err != nil || g.Bytes != 1e12 || filepath.ToSlash(g.Dir) != "/mnt/a:b" {
		t.Errorf("%+v, %v", g, err)
	}
	for _, text := range []string{"", ":", "1GB:", ":/mnt", "1KB", "/mnt", "-1GB:/mnt", "x:y"} {
		if g, err := parseGift(h, text); err == nil {
			t.Errorf("%q: %+v", text, g)
		}
	}
	if _, err := chooseGifts(h, []string{"1GB", "2GB"}, nodeSettings{}); err == nil {
		t.Error("one folder was given twice")
	}
	old := nodeSettings{Stores: []gift{{Dir: h.node(storeDir), Bytes: 1e9, Made: true}}}
	if g, err := chooseGifts(h, nil, old); err != nil || len(g) != 1 || g[0] != old.Stores[0] {
		t.Errorf("%+v, %v", g, err)
	}
	if g, err := chooseGifts(h, []string{"2GB"}, old); err != nil || !g[0].Made || g[0].Bytes != 2e9 {
		t.Errorf("%+v, %v", g, err)
	}
}
