package protocol

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/multiformats/go-multiaddr"
)

const linkHead = `
Texts that people pass on: SPEC.md, "Link", "Invitation" and "Hint".
The read secret of every link is the byte 0a 32 times.`

func linkVectors(w *world) (string, []vector) {
	list := w.linkVectors()
	list = append(list, w.invitationVectors()...)
	return linkHead, append(list, w.hintVectors()...)
}

func okText(name, kind, about, text string) vector {
	return vector{name: name, kind: kind, about: about, expect: "ok", text: text}
}

func badText(name, kind, about string, code Code, text string) vector {
	return vector{name: name, kind: kind, about: about, expect: expectation(Refuse(code, "")), text: text}
}

// texted writes a prefix, then raw bytes with their checksum.
func texted(prefix string, b []byte) string {
	sum := Sum(b)
	return prefix + base64.RawURLEncoding.EncodeToString(append(bytes.Clone(b), sum[:4]...))
}

func (w *world) link(hints ...multiaddr.Multiaddr) Link {
	return Link{Pointer: PointerIDOf(PublicKeyOf(w.pointer)), Home: w.group.Prefix(), Read: Secret(bytes.Repeat([]byte{0x0a}, 32)), Hints: hints}
}

func (w *world) linkVectors() []vector {
	const kind = "link"
	l := w.link()
	bare := string(encodedText(l.Text()))
	hinted := string(encodedText(w.link(w.address(0), w.address(1)).Text()))
	raw, _ := base64.RawURLEncoding.DecodeString(bare[len(LinkPrefix):])
	raw = raw[:len(raw)-4]
	with := func(tail ...byte) string { return texted(LinkPrefix, append(bytes.Clone(raw), tail...)) }
	later := append([]byte{2}, raw[1:]...)
	hint := w.address(0).Bytes()
	five := bytes.Repeat(append([]byte{byte(len(hint))}, hint...), 5)
	return []vector{
		okText("link/bare", kind, "no hints: 98 characters", bare).with("pointer", l.Pointer).with("home", l.Home).with("read", strings.Repeat("0a", 32)),
		okText("link/hints", kind, "hints at peers 10 and 11", hinted).with("hint0", w.address(0)).with("hint1", w.address(1)),
		okText("link/gateway", kind, "the same as link/bare, behind a gateway's address", "https://gate.example/#"+bare[len(LinkPrefix):]),
		badText("link/version-2", kind, "of a later version", CodeVersion, texted(LinkPrefix, later)),
		badText("link/checksum", kind, "one character is wrong", CodeMalformed, LinkPrefix+"B"+bare[len(LinkPrefix)+1:]),
		badText("link/cut", kind, "the last character is missing", CodeMalformed, bare[:len(bare)-1]),
		badText("link/prefix", kind, "another scheme", CodeMalformed, "cairm:"+bare[len(LinkPrefix):]),
		badText("link/short", kind, "a byte of the read secret is missing", CodeMalformed, texted(LinkPrefix, raw[:len(raw)-1])),
		badText("link/padding", kind, "base64 with padding", CodeMalformed, bare+"="),
		badText("link/bits", kind, "bits behind the last byte are set", CodeMalformed, hinted[:len(hinted)-1]+string(hinted[len(hinted)-1]+1)),
		badText("link/hint-over", kind, "a hint that is longer than the rest", CodeMalformed, with(9, 1, 2)),
		badText("link/hint-empty", kind, "a hint of no bytes", CodeMalformed, with(0)),
		badText("link/hint-no-peer", kind, "a hint without /p2p", CodeMalformed, with(append([]byte{8}, multiaddr.StringCast("/ip4/192.0.2.1/tcp/4401").Bytes()...)...)),
		badText("link/hints-5", kind, "five hints", CodeMalformed, with(five...)),
	}
}

func encodedText(s string, err error) []byte { return encoded([]byte(s), err) }

func (w *world) invitationVectors() []vector {
	const kind = "invitation"
	i := &Invitation{Network: vectorNetwork, Addrs: [][]byte{w.address(0).Bytes(), w.address(1).Bytes()}}
	good := string(encodedText(i.Text()))
	raw := mustEncode(i)
	list := pairsOf(raw)
	bad := func(name, about string, code Code, b []byte) vector {
		return badText("invitation/"+name, kind, about, code, texted(JoinPrefix, b))
	}
	return []vector{
		okText("invitation/plain", kind, "two peers of the network vectors", good).with("network", vectorNetwork).with("addr0", w.address(0)).with("addr1", w.address(1)),
		badText("invitation/checksum", kind, "one character is wrong", CodeMalformed, JoinPrefix+"B"+good[len(JoinPrefix)+1:]),
		badText("invitation/link", kind, "a link where an invitation belongs", CodeMalformed, LinkPrefix+good[len(JoinPrefix):]),
		bad("version-2", "of a later version, with a field of its own", CodeVersion, mapOf(set(set(list, "v", 2), "zzz", 0)...)),
		bad("unknown-field", "a field that version 1 does not have", CodeMalformed, mapOf(set(list, "zzz", 0)...)),
		bad("no-address", "no address", CodeMalformed, mapOf(set(list, "addrs", 0x80)...)),
		bad("network-name", "a network name in capitals", CodeMalformed, mapOf(set(list, "network", append([]byte{0x61}, 'A')...)...)),
		bad("network-empty", "an empty network name", CodeMalformed, mapOf(set(list, "network", 0x60)...)),
		bad("unsorted", "keys in another order", CodeMalformed, mapOf(list[1], list[0], list[2])),
	}
}

func (w *world) hintVectors() []vector {
	const kind = "hint"
	quic := multiaddr.StringCast("/dns4/node.example/udp/4401/quic-v1/p2p/" + w.ids[1].String())
	relay := multiaddr.StringCast("/ip4/192.0.2.9/tcp/4401/p2p/" + w.ids[1].String() + "/p2p-circuit/p2p/" + w.ids[2].String())
	plain := w.address(0).Bytes()
	return []vector{
		okVector("hint/tcp", kind, "peer 10 over TCP", plain).with("address", w.address(0)),
		okVector("hint/quic", kind, "peer 11 by name over QUIC", quic.Bytes()).with("address", quic),
		okVector("hint/relay", kind, "peer 12 through a relay at peer 11", relay.Bytes()).with("address", relay),
		badVector("hint/no-peer", kind, "it does not end in /p2p", CodeMalformed, multiaddr.StringCast("/ip4/192.0.2.1/tcp/4401").Bytes()),
		badVector("hint/cut", kind, "cut short", CodeMalformed, plain[:len(plain)-1]),
		badVector("hint/long", kind, "over 255 bytes", CodeMalformed, make([]byte, 256)),
	}
}
