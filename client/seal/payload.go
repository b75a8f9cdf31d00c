package seal

import (
	"fmt"
	"io"
)

// Sizes of a pointer's payload, in bytes.
const (
	PayloadPlain = 1024                                     // before sealing, always
	PayloadSize  = CommitmentSize + PayloadPlain + Overhead // after
	SaltSize     = 32                                       // of the salt next to it
)

// SealPayload seals the payload of a pointer under a key derived with a fresh salt,
// so that two devices that write the same seq never share a key. It fails only when
// rand, which must be a cryptographic source, does.
func SealPayload(rand io.Reader, readSecret Key, plain *[PayloadPlain]byte) (salt [SaltSize]byte, sealed []byte, err error) {
	drawn, err := drawKey(rand, "payload salt")
	if err != nil {
		return salt, nil, err
	}
	salt = drawn
	s, err := newSealer(PayloadKey(readSecret, salt))
	if err == nil {
		sealed, err = s.sealAll(make([]byte, 0, PayloadSize), plain[:])
	}
	if err != nil {
		return salt, nil, fmt.Errorf("seal payload: %w", err)
	}
	return salt, sealed, nil
}

// OpenPayload opens the payload of a pointer. All failures are ErrOpen.
func OpenPayload(readSecret Key, salt [SaltSize]byte, sealed []byte) (*[PayloadPlain]byte, error) {
	if len(sealed) != PayloadSize {
		return nil, ErrOpen
	}
	plain, err := Open(PayloadKey(readSecret, salt), make([]byte, 0, PayloadPlain), sealed)
	if err != nil {
		return nil, err
	}
	return (*[PayloadPlain]byte)(plain), nil
}
