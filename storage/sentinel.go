package storage

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Names in a store's folder.
const (
	sentinelName = "cairn-store" // says whose store this is; a folder without it is no store
	lockName     = "lock"
	indexName    = "index.db"
	logsName     = "logs"
)

const (
	sentinelHead = "cairn store 1"
	sentinelMax  = 4 << 10 // bytes
)

// sentinel is what the file of that name says:
//
//	cairn store 1
//	owner OWNER
//	key 64 hexadecimal digits
type sentinel struct {
	owner string
	key   storeKey
}

func (s *sentinel) encode() []byte {
	return fmt.Appendf(nil, "%s\nowner %s\nkey %x\n", sentinelHead, s.owner, s.key)
}

func parseSentinel(b []byte) (*sentinel, error) {
	lines := strings.Split(string(b), "\n")
	if len(lines) != 4 || lines[0] != sentinelHead || lines[3] != "" {
		return nil, ErrForeign
	}
	owner, isOwner := strings.CutPrefix(lines[1], "owner ")
	text, isKey := strings.CutPrefix(lines[2], "key ")
	key, err := hex.DecodeString(text)
	if !isOwner || !isKey || err != nil || len(key) != len(storeKey{}) {
		return nil, ErrForeign
	}
	return &sentinel{owner: owner, key: storeKey(key)}, nil
}

// claim finds the folder's sentinel, or makes one in a new store:
//
//	make the folders, lock, look for the sentinel; if this is a new store,
//	sync the folders, write the sentinel
//
// The caller holds the lock.
func claim(cfg *Config) (*sentinel, error) {
	name := filepath.Join(cfg.Dir, sentinelName)
	b, err := readFile(cfg.FS, name, sentinelMax)
	switch {
	case err == nil:
		s, err := parseSentinel(b)
		if err == nil && s.owner != cfg.Owner {
			err = ErrForeign
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return s, nil
	case errors.Is(err, ErrLimit):
		return nil, fmt.Errorf("%s: %w", name, ErrForeign)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	logs, err := logNumbers(cfg.FS, filepath.Join(cfg.Dir, logsName))
	if err != nil {
		return nil, err
	}
	if cfg.Existing || len(logs) > 0 {
		return nil, fmt.Errorf("%s is not there: %w", name, ErrSuspended)
	}
	s := &sentinel{owner: cfg.Owner}
	_, _ = rand.Read(s.key[:]) // never fails
	for _, dir := range []string{cfg.Dir, filepath.Dir(filepath.Clean(cfg.Dir))} {
		if err := cfg.FS.SyncDir(dir); err != nil {
			return nil, err
		}
	}
	return s, writeFile(cfg.FS, cfg.Dir, name, s.encode())
}

// present reports whether the sentinel is where it was.
func present(cfg *Config) error {
	b, err := readFile(cfg.FS, filepath.Join(cfg.Dir, sentinelName), sentinelMax)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSuspended, err)
	}
	if s, err := parseSentinel(b); err != nil || s.owner != cfg.Owner {
		return fmt.Errorf("%w: another store lies in its place", ErrSuspended)
	}
	return nil
}

// folders makes the folders of a store. Where there was a store before, its
// folder must exist: making it would hide that the disk is missing.
func folders(cfg *Config) error {
	if cfg.Existing {
		if _, err := cfg.FS.ReadDir(cfg.Dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %w", ErrSuspended, err)
		}
		f, err := cfg.FS.Open(filepath.Join(cfg.Dir, sentinelName))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %w", ErrSuspended, err)
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return err
		}
	}
	return cfg.FS.MkdirAll(filepath.Join(cfg.Dir, logsName))
}
