package protocol

import (
	"crypto/ed25519"
	"fmt"
)

// signContext keeps our signatures apart from anything else that a key may sign.
const signContext = "cairn/v1/signed\x00"

// maxSigned bounds anything that is signed, in bytes.
const maxSigned = 8 << 10

// head begins every body that is hashed or signed, so that nothing made for one
// network, purpose or version counts for another.
type head struct {
	V       int    `cbor:"v"`
	Kind    string `cbor:"kind"`
	Network string `cbor:"network"`
}

func newHead(kind, network string) head { return head{Version, kind, network} }

func (h head) check(kind, network string) error {
	switch {
	case h.Kind != kind:
		return malformed(kind, "it is a %.32q", h.Kind)
	case h.V != Version:
		return Refuse(CodeVersion, "%s: version %d", kind, h.V)
	case h.Network != network:
		return Refuse(CodeNetwork, "%s: made for %.40q", kind, h.Network)
	}
	return nil
}

// signed is a body with its signature. The body is kept as the bytes received, so
// that what was checked is what is used.
type signed struct {
	Body []byte `cbor:"body"`
	Sig  []byte `cbor:"sig"`
}

func sign(key ed25519.PrivateKey, body any) []byte {
	b := mustEncode(body)
	return mustEncode(signed{b, ed25519.Sign(key, signInput(b))})
}

func signInput(body []byte) []byte {
	return append([]byte(signContext), body...)
}

// openSigned decodes a signed thing into body. The signature is checked by verify,
// once the caller knows whose it must be.
func openSigned(kind string, b []byte, body any) (signed, error) {
	var s signed
	if len(b) > maxSigned {
		return s, malformed(kind, "%d bytes", len(b))
	}
	if err := Decode(kind, b, &s); err != nil {
		return s, err
	}
	if len(s.Sig) != ed25519.SignatureSize {
		return s, malformed(kind, "signature of %d bytes", len(s.Sig))
	}
	return s, Decode(kind, s.Body, body)
}

func (s signed) verify(kind string, keys ...PublicKey) error {
	for _, k := range keys {
		if !smallOrder(k[:]) && ed25519.Verify(k[:], signInput(s.Body), s.Sig) {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", kind, Refuse(CodeDenied, "signature does not fit"))
}

// maxNetworkName bounds the name of a network, in bytes.
const maxNetworkName = 32

// CheckNetworkName reports whether name can name a network: 1 to 32 lower-case
// letters, digits and dashes.
func CheckNetworkName(name string) error {
	if len(name) == 0 || len(name) > maxNetworkName {
		return malformed("network name", "%d characters, not 1 to %d", len(name), maxNetworkName)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return malformed("network name", "%q holds more than a–z, 0–9 and -", name)
		}
	}
	return nil
}
