package seal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A Checker accepts each part of its extent with that part's own tag, and nothing
// else.
func TestChecker(t *testing.T) {
	key := counting(1)
	for _, s := range sizes {
		plain := pattern(s.plain)
		extent := sealed(t, key, plain)
		c, err := NewChecker(key, s.plain)
		if err != nil {
			t.Fatal(err)
		}
		for i := range Parts(s.plain) {
			off, n := PartRange(i, s.plain)
			tag := [Overhead]byte(extent[off+n-Overhead : off+n])
			part := plain[i*PartSize : i*PartSize+n-Overhead]
			check := func(what string, c *Checker, part []byte, i int64, tag [Overhead]byte, want bool) {
				t.Helper()
				if c.Check(part, i, tag) != want {
					t.Errorf("%s, part %d, %s: not %t", s.why, i, what, want)
				}
			}
			check("as it was", c, part, i, tag, true)
			check("shorter", c, part[1:], i, tag, false)
			check("elsewhere", c, part, i+1, tag, false)
			check("before the first", c, part, -1, tag, false)
			wrong := tag
			wrong[15] ^= 1
			check("another tag", c, part, i, wrong, false)
			other := append([]byte(nil), part...)
			other[len(other)-1] ^= 1
			check("another text", c, other, i, tag, false)
			stranger, _ := NewChecker(counting(2), s.plain)
			check("another key", stranger, part, i, tag, false)
		}
	}
	for _, n := range []int64{0, -1, MaxPlain + 1} {
		if _, err := NewChecker(key, n); !errors.Is(err, ErrOpen) {
			t.Errorf("an extent of %d bytes: %v", n, err)
		}
	}
}

func TestCheckerAllocates(t *testing.T) {
	plain := pattern(PartSize)
	c, _ := NewChecker(counting(1), PartSize)
	if n := testing.AllocsPerRun(10, func() { c.Check(plain, 0, [Overhead]byte{}) }); n > 0.5 {
		t.Errorf("%v allocations a part", n)
	}
}

func TestCheckerIsRedacted(t *testing.T) {
	c, _ := NewChecker(counting(1), 1)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		if got := fmt.Sprintf(verb, c); !strings.Contains(got, "checker") || len(got) > 20 {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
