package seal

import (
	"fmt"
	"io"
	"log/slog"
)

// KeySize is the length in bytes of every secret: Key and Master.
const KeySize = 32

// redacted is printed in place of every secret.
const redacted = "secret"

// Key is a secret for one purpose, whichever. It never prints its bytes.
type Key [KeySize]byte

// Master is the secret from which all that an owner can derive is derived. It
// never prints its bytes.
type Master [KeySize]byte

// NewMaster draws a master secret from r. It fails only when r does.
func NewMaster(r io.Reader) (Master, error) {
	k, err := drawKey(r, "master secret")
	return Master(k), err
}

// drawKey reads one key from r; a short read is an error, never a short key.
func drawKey(r io.Reader, what string) (Key, error) {
	var k Key
	if _, err := io.ReadFull(r, k[:]); err != nil {
		return Key{}, fmt.Errorf("draw %s: %w", what, err)
	}
	return k, nil
}

// String returns a placeholder.
func (Key) String() string { return redacted }

// GoString returns a placeholder.
func (Key) GoString() string { return redacted }

// Format writes a placeholder for every verb and flag.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue keeps the bytes out of logs.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the bytes out of JSON, XML and TOML, also as a map's key.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// String returns a placeholder.
func (Master) String() string { return redacted }

// GoString returns a placeholder.
func (Master) GoString() string { return redacted }

// Format writes a placeholder for every verb and flag.
func (Master) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue keeps the bytes out of logs.
func (Master) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the bytes out of JSON, XML and TOML, also as a map's key.
func (Master) MarshalText() ([]byte, error) { return []byte(redacted), nil }
