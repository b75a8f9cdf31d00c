package protocol

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"testing"
)

const lotHead = `
How work falls to members: SPEC.md, "Lots". The bytes are those that are hashed. Group, segment and peers are those of
records.txt. "part2" is part 2 of the lot, "share" its share of 1000, "rank" that of the key of peer 10. A group's day
is that of a clock in milliseconds since 1970, with days of 24 h. Package protocol/group draws them.`

func lotVectors(w *world) (string, []vector) {
	var out []vector
	for i, id := range w.ids {
		in := slices.Concat([]byte("cairn/key/"), []byte(id))
		out = append(out, okVector("lot-key/peer-1"+strconv.Itoa(i), "lot key", "the key of a peer", in).
			with("peer", id).with("key", digits(first64(in))))
	}
	for _, a := range []string{"192.0.2.0", "2001:db8:1::"} {
		in := addrInput(a)
		out = append(out, okVector("lot-domain/"+a, "lot domain", "the key of a failure domain", in).
			with("prefix", a).with("key", digits(first64(in))))
	}
	for _, c := range []struct {
		name, purpose string
		number        int64
		what          []byte
	}{
		{"audit", "audit", 694, w.segment[:]},
		{"repair", "repair", 20833, w.segment[:]},
		{"draw", "draw", 20833, []byte{2}},
		{"phase", "phase", 0, nil},
		{"before-1970", "draw", -1, []byte{0}},
	} {
		in := slices.Concat([]byte("cairn/lot/"), []byte(c.purpose), []byte{0}, w.group[:],
			binary.BigEndian.AppendUint64(nil, uint64(c.number)), c.what)
		lot, key := first64(in), first64(slices.Concat([]byte("cairn/key/"), []byte(w.ids[0])))
		share, _ := bits.Mul64(part(lot, -2), 1000)
		out = append(out, okVector("lot/"+c.name, "lot", "a lot", in).
			with("group", w.group).with("purpose", c.purpose).with("number", c.number).with("what", hex.EncodeToString(c.what)).
			with("lot", digits(lot)).with("part2", digits(part(lot, 2))).with("share", share).with("rank", digits(mix(lot^key))))
	}
	for _, clock := range []int64{1_800_000_000_000, 1_800_000_000_000 + 6*3600_000, 0, -1} {
		day, step := dayOf(w.group[:], clock)
		out = append(out, okVector("group-day/"+strconv.FormatInt(clock, 10), "group day", "the day of a group and the step of it", w.group[:]).
			with("clock", clock).with("day", day).with("step", step))
	}
	return lotHead, out
}

// What follows is written from the specification, independently of protocol/group.

func first64(b []byte) uint64 {
	h := Sum(b)
	return binary.BigEndian.Uint64(h[:8])
}

func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func part(lot uint64, i int64) uint64 { return mix(lot + uint64(i+1)*0x9e3779b97f4a7c15) }

func floorDiv(a, b int64) int64 {
	if a%b < 0 {
		return a/b - 1
	}
	return a / b
}

func dayOf(group []byte, clock int64) (day, step int64) {
	const length = 6 * 3600_000
	phase := int64(binary.BigEndian.Uint16(group)) * 4 * length / 65_536
	n := floorDiv(clock+phase, length)
	return floorDiv(n, 4), n - 4*floorDiv(n, 4)
}

func addrInput(a string) []byte {
	b := netip.MustParseAddr(a).As16()
	return slices.Concat([]byte("cairn/domain/"), b[:])
}

func digits(x uint64) string { return fmt.Sprintf("%016x", x) }

// checkHashed is for vectors whose bytes give a number by their hash; package
// protocol/group tests that the code agrees.
func checkHashed(key string) func(*testing.T, vector) {
	return func(t *testing.T, v vector) {
		if got := digits(first64(v.bytes)); got != v.value(t, key) {
			t.Errorf("%s is %s", key, got)
		}
	}
}

func checkDay(t *testing.T, v vector) {
	day, step := dayOf(v.bytes, int64(v.number(t, "clock")))
	if day != int64(v.number(t, "day")) || step != int64(v.number(t, "step")) {
		t.Errorf("step %d of day %d", step, day)
	}
}
