package quota

import (
	"math"
	"testing"

	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

func TestRoom(t *testing.T) {
	const donated = 1000
	c := DefaultCaps()
	for _, v := range []struct {
		filled filled
		want   int64
	}{
		{filled{}, 50},
		{filled{narrow: 20, wide: 20, all: 20}, 30},
		{filled{narrow: 50, wide: 50, all: 50}, 0},
		{filled{narrow: 70, wide: 70, all: 70}, 0},
		{filled{narrow: 0, wide: 190, all: 190}, 10},
		{filled{narrow: 0, wide: 0, all: 480}, 20},
		{filled{narrow: 0, wide: 0, all: 500}, 0},
	} {
		if got := c.room(donated, v.filled); got != v.want {
			t.Errorf("%+v: room for %d, want %d", v.filled, got, v.want)
		}
	}
	if got := c.room(math.MaxInt64, filled{}); got <= 0 {
		t.Errorf("room in a huge donation: %d", got)
	}
}

func TestSourceOf(t *testing.T) {
	for addr, want := range map[string]string{
		"/ip4/203.0.113.77/tcp/1":                "203.0.113.0/24",
		"/ip6/2001:db8:7:8::1/tcp/1":             "2001:db8:7::/48",
		"/ip6/::ffff:203.0.113.77/udp/1/quic-v1": "203.0.113.0/24",
		"/ip4/10.1.2.3/tcp/1":                    sourceLocal,
		"/ip4/127.0.0.1/tcp/1":                   sourceLocal,
		"/ip6/::1/tcp/1":                         sourceLocal,
		"/ip6/fd00::1/tcp/1":                     sourceLocal,
		"/dns4/example.org/tcp/1":                sourceHidden,
	} {
		s := SourceOf(protocol.Remote{Addr: multiaddr.StringCast(addr)})
		if s.Text() != want || ParseSource(s.Text()) != s {
			t.Errorf("%s: %s, read back %s; want %s", addr, s.Text(), ParseSource(s.Text()).Text(), want)
		}
	}
	if s := SourceOf(protocol.Remote{}); s != (Source{}) || ParseSource(s.Text()) != s {
		t.Errorf("no address: %v", s)
	}
}
