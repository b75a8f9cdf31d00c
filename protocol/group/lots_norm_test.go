package group

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// readLots reads protocol/testdata/lots.txt: paragraphs of "field: value".
func readLots(t *testing.T) (all []map[string]string) {
	t.Helper()
	raw, err := os.ReadFile("../testdata/lots.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, para := range strings.Split(string(raw), "\n\n")[1:] {
		v := make(map[string]string)
		for _, line := range strings.Split(strings.ReplaceAll(para, "\n  ", ""), "\n") {
			key, value, _ := strings.Cut(line, ":")
			v[key] = strings.TrimSpace(value)
		}
		all = append(all, v)
	}
	return all
}

// All members, of whatever implementation, draw the lots of the norm.
func TestLotsOfTheNorm(t *testing.T) {
	var ten Key
	seen := make(map[string]int)
	for _, v := range readLots(t) {
		seen[v["kind"]]++
		switch v["kind"] {
		case "lot key":
			id, err := peer.Decode(v["peer"])
			if err != nil {
				t.Fatal(err)
			}
			if v["name"] == "lot-key/peer-10" {
				ten = KeyOf(id)
			}
			same(t, v, "key", fmt.Sprintf("%016x", uint64(KeyOf(id))))
		case "lot domain":
			d := Domain{kind: prefixDomain, prefix: cut(netip.MustParseAddr(v["prefix"]), domainBits4, domainBits6)}
			same(t, v, "key", fmt.Sprintf("%016x", uint64(DomainKey(d, 0))))
		case "lot":
			l := NewLot(v["purpose"], protocol.GroupID(unhex(t, v["group"])), number(t, v["number"]), unhex(t, v["what"])...)
			same(t, v, "lot", fmt.Sprintf("%016x", uint64(l)))
			same(t, v, "part2", fmt.Sprintf("%016x", uint64(l.Of(2))))
			same(t, v, "share", strconv.FormatUint(l.Share(1000), 10))
			same(t, v, "rank", fmt.Sprintf("%016x", l.Rank(ten)))
		case "group day":
			d := DayAt(protocol.GroupID(unhex(t, v["hex"])), 24*time.Hour, time.UnixMilli(number(t, v["clock"])))
			same(t, v, "day", strconv.FormatInt(d.Number, 10))
			same(t, v, "step", strconv.Itoa(d.Step))
		}
	}
	if len(seen) != 4 {
		t.Errorf("vectors of %v", seen)
	}
}

func same(t *testing.T, v map[string]string, key, got string) {
	t.Helper()
	if got != v[key] {
		t.Errorf("%s: %s is %s, not %s", v["name"], key, got, v[key])
	}
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
