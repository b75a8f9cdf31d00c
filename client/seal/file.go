package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// Limits of a local file under a passphrase.
const (
	MinFileMemory = 64      // MiB that argon2id uses at least
	MaxFileMemory = 256     // and at most
	MaxFilePlain  = 1 << 20 // plain bytes
)

// The layout is magic 8 ‖ memory 2 (MiB, big-endian) ‖ salt 32 ‖ nonce 24 ‖
// sealed bytes ‖ tag 16. All before the sealed bytes is associated data.
const (
	fileMagic  = "cairnpw\x01" // its last byte is the version
	fileSalt   = len(fileMagic) + 2
	fileNonce  = fileSalt + SaltSize
	fileHeader = fileNonce + chacha20poly1305.NonceSizeX
	minFile    = fileHeader + chacha20poly1305.Overhead

	argonTime    = 3 // passes; it and the lanes are constants of the version
	argonThreads = 1 // lanes
)

// ErrFile means that SealFile was asked for what the format does not hold: an
// empty passphrase, a memory outside its bounds, or too many bytes.
var ErrFile = errors.New("outside the limits of a file under a passphrase")

// stretch makes a file's key from a salt, filling memory MiB.
type stretch func(salt []byte, memory int) Key

// withPassphrase stretches by argon2id.
func withPassphrase(passphrase []byte) stretch {
	return func(salt []byte, memory int) Key {
		return Key(argon2.IDKey(passphrase, salt, argonTime, uint32(memory)<<10, argonThreads, KeySize))
	}
}

// SealFile seals the bytes of a local file under a passphrase, filling memory
// MiB to slow down guessing. What it returns must never be published: in a
// peer-to-peer network nothing slows guessers down. It returns ErrFile outside
// the limits, else fails only when rand does.
func SealFile(rand io.Reader, passphrase, plain []byte, memory int) ([]byte, error) {
	if len(passphrase) == 0 || memory < MinFileMemory || memory > MaxFileMemory || len(plain) > MaxFilePlain {
		return nil, fmt.Errorf("seal file of %d bytes with %d MiB: %w", len(plain), memory, ErrFile)
	}
	return sealFile(rand, plain, memory, withPassphrase(passphrase))
}

func sealFile(rand io.Reader, plain []byte, memory int, key stretch) ([]byte, error) {
	b := make([]byte, fileHeader, minFile+len(plain))
	copy(b, fileMagic)
	binary.BigEndian.PutUint16(b[len(fileMagic):], uint16(memory))
	if _, err := io.ReadFull(rand, b[fileSalt:]); err != nil {
		return nil, fmt.Errorf("draw salt of file: %w", err)
	}
	k := key(b[fileSalt:fileNonce], memory)
	aead, err := chacha20poly1305.NewX(k[:])
	if err != nil {
		return nil, fmt.Errorf("seal file: %w", err)
	}
	if err := observe(&k, 0, plain); err != nil {
		return nil, fmt.Errorf("seal file: audit: %w", err)
	}
	return aead.Seal(b, b[fileNonce:], plain, b), nil
}

// OpenFile opens what SealFile made. Lengths and memory are checked before
// anything is allocated. All failures are ErrOpen, a wrong passphrase and a
// file of a later version among them.
func OpenFile(passphrase, sealed []byte) ([]byte, error) {
	return openFile(sealed, withPassphrase(passphrase))
}

func openFile(sealed []byte, key stretch) ([]byte, error) {
	memory, ok := parseFile(sealed)
	if !ok {
		return nil, ErrOpen
	}
	k := key(sealed[fileSalt:fileNonce], memory)
	aead, err := chacha20poly1305.NewX(k[:])
	if err != nil {
		return nil, ErrOpen
	}
	plain, err := aead.Open(nil, sealed[fileNonce:fileHeader], sealed[fileHeader:], sealed[:fileHeader])
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// parseFile checks all of a file that can be checked without a key, and returns
// the memory that stretching its key takes, in MiB.
func parseFile(sealed []byte) (memory int, ok bool) {
	if len(sealed) < minFile || len(sealed) > minFile+MaxFilePlain || string(sealed[:len(fileMagic)]) != fileMagic {
		return 0, false
	}
	memory = int(binary.BigEndian.Uint16(sealed[len(fileMagic):]))
	return memory, memory >= MinFileMemory && memory <= MaxFileMemory
}
