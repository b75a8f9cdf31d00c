package protocol

import (
	"fmt"
	"log/slog"
)

// Secret is 32 bytes that give a right: a segment's secret, the key of an
// extent, the read secret of a link. It never prints its bytes.
type Secret [32]byte

// Format writes a placeholder for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("secret")) }

// LogValue keeps the bytes out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("secret") }

// MarshalJSON keeps the bytes out of JSON.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"secret"`), nil }
