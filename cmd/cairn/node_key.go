package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/libp2p/go-libp2p/core/crypto"
)

// nodeKey reads the node's identity, or draws and stores one on first use. The
// file is libp2p's encoding of an Ed25519 key; a copy of it is a backup.
func nodeKey(h home) (crypto.PrivKey, error) {
	path := h.node(keyFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newNodeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the node's key: %w", err)
	}
	key, err := crypto.UnmarshalPrivateKey(b)
	if err != nil || key.Type() != crypto.Ed25519 {
		// The error is not repeated: it could hold bytes of the key.
		return nil, withHint(fmt.Errorf("read the node's key: %s holds no Ed25519 key", path),
			"restore it from a backup; without it this node is a new one and its stores are another's")
	}
	return key, nil
}

func newNodeKey(path string) (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the node's key: %w", err)
	}
	b, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make the node's key: %w", err)
	}
	return key, writeWhole(path, b)
}
