package protocol

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// Forms of a link as text.
const (
	LinkPrefix   = "cairn:"
	MaxLinkHints = 4
	maxHintBytes = 255
	linkVersion  = 1
	linkFixed    = 1 + 16 + 16 + 32
	linkChecksum = 4
	maxLinkText  = 4 << 10
)

// Link is a capability: whoever has its text can read one file, and nothing
// else. Printing a Link shows its pointer only; Text gives the secret form.
type Link struct {
	Pointer PointerID
	Home    GroupPrefix
	Read    Secret
	Hints   []multiaddr.Multiaddr // of members; each ends in /p2p
}

// Text returns the link in its secret form, "cairn:" and base64url.
func (l Link) Text() (string, error) {
	if len(l.Hints) > MaxLinkHints {
		return "", malformed("link", "%d hints", len(l.Hints))
	}
	b := make([]byte, 0, linkFixed+linkChecksum)
	b = append(b, linkVersion)
	b = append(b, l.Pointer[:]...)
	b = append(b, l.Home[:]...)
	b = append(b, l.Read[:]...)
	for _, h := range l.Hints {
		raw := h.Bytes()
		if len(raw) > maxHintBytes {
			return "", malformed("link", "hint of %d bytes", len(raw))
		}
		b = append(append(b, byte(len(raw))), raw...)
	}
	sum := Sum(b)
	b = append(b, sum[:linkChecksum]...)
	return LinkPrefix + base64.RawURLEncoding.EncodeToString(b), nil
}

// Format writes only what may be shown of a link, for every verb.
func (l Link) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "link to pointer %s", l.Pointer)
}

// LogValue keeps the secret out of logs.
func (l Link) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(l)) }

// MarshalJSON keeps the secret out of JSON.
func (l Link) MarshalJSON() ([]byte, error) { return []byte(`"` + l.Pointer.String() + `"`), nil }

// ParseLink reads a link: "cairn:…", or "https://any-gateway/#…". It returns
// ErrVersion for a link of a later version, ErrMalformed for a damaged one; no
// error repeats any of the text.
func ParseLink(text string) (Link, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxLinkText {
		return Link{}, malformed("link", "longer than any link")
	}
	switch {
	case strings.HasPrefix(text, LinkPrefix):
		text = text[len(LinkPrefix):]
	case strings.HasPrefix(text, "https://") && strings.Contains(text, "#"):
		text = text[strings.IndexByte(text, '#')+1:]
	default:
		return Link{}, malformed("link", "it does not begin with %q", LinkPrefix)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return Link{}, malformed("link", "damaged: a character is missing or wrong")
	}
	return parseLinkBytes(b)
}

func parseLinkBytes(b []byte) (Link, error) {
	if len(b) < 1+linkChecksum {
		return Link{}, malformed("link", "damaged: too short")
	}
	body, check := b[:len(b)-linkChecksum], b[len(b)-linkChecksum:]
	if sum := Sum(body); !bytes.Equal(sum[:linkChecksum], check) {
		return Link{}, malformed("link", "damaged: its checksum does not fit")
	}
	if body[0] != linkVersion {
		return Link{}, Refuse(CodeVersion, "link of version %d", body[0])
	}
	if len(body) < linkFixed {
		return Link{}, malformed("link", "damaged: too short")
	}
	l := Link{Pointer: PointerID(body[1:17]), Home: GroupPrefix(body[17:33]), Read: Secret(body[33:65])}
	return l, l.parseHints(body[linkFixed:])
}

func (l *Link) parseHints(b []byte) error {
	for len(b) > 0 {
		n := int(b[0])
		if len(b) < 1+n || len(l.Hints) == MaxLinkHints {
			return malformed("link", "damaged: hints run over")
		}
		info, err := ParseHint(b[1 : 1+n])
		if err != nil {
			return err
		}
		l.Hints = append(l.Hints, info)
		b = b[1+n:]
	}
	return nil
}

// ParseHint reads the binary form of a multiaddr that ends in /p2p.
func ParseHint(b []byte) (multiaddr.Multiaddr, error) {
	if len(b) > maxHintBytes {
		return nil, malformed("hint", "%d bytes", len(b))
	}
	m, err := multiaddr.NewMultiaddrBytes(b)
	if err != nil {
		return nil, malformed("hint", "%v", err)
	}
	if _, err := peer.AddrInfoFromP2pAddr(m); err != nil {
		return nil, malformed("hint", "%v", err)
	}
	return m, nil
}

// JoinPrefix begins every invitation.
const JoinPrefix = "cairn-join:"

// MaxInvitationAddrs bounds the addresses of an invitation.
const MaxInvitationAddrs = 4

// Invitation leads into a network: its name and some peers' addresses. It
// holds no secret.
type Invitation struct {
	V       int      `cbor:"v"`
	Network string   `cbor:"network"`
	Addrs   [][]byte `cbor:"addrs"` // multiaddrs that end in /p2p
}

// Text returns the invitation as "cairn-join:" and base64url.
func (i *Invitation) Text() (string, error) {
	i.V = Version
	if err := i.Validate(); err != nil {
		return "", err
	}
	b := mustEncode(i)
	sum := Sum(b)
	return JoinPrefix + base64.RawURLEncoding.EncodeToString(append(b, sum[:linkChecksum]...)), nil
}

// Validate checks name and addresses.
func (i *Invitation) Validate() error {
	if i.V != Version {
		return Refuse(CodeVersion, "invitation of version %d", i.V)
	}
	if err := CheckNetworkName(i.Network); err != nil {
		return err
	}
	if len(i.Addrs) == 0 || len(i.Addrs) > MaxInvitationAddrs {
		return malformed("invitation", "%d addresses, not 1 to %d", len(i.Addrs), MaxInvitationAddrs)
	}
	for _, a := range i.Addrs {
		if _, err := ParseHint(a); err != nil {
			return err
		}
	}
	return nil
}

// ParseInvitation reads an invitation as Text writes it.
func ParseInvitation(text string) (*Invitation, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), JoinPrefix)
	if !ok || len(rest) > maxLinkText {
		return nil, malformed("invitation", "it does not begin with %q", JoinPrefix)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil || len(b) < linkChecksum {
		return nil, malformed("invitation", "damaged: a character is missing or wrong")
	}
	body, check := b[:len(b)-linkChecksum], b[len(b)-linkChecksum:]
	if sum := Sum(body); !bytes.Equal(sum[:linkChecksum], check) {
		return nil, malformed("invitation", "damaged: its checksum does not fit")
	}
	i := new(Invitation)
	if err := Decode("invitation", body, i); err != nil {
		return nil, err
	}
	return i, i.Validate()
}
