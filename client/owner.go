package client

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

// Files of an owner's home.
const (
	secretFile  = "secret"
	journalFile = "journal.db"

	secretHeader = "cairn-secret-v1 "
	lockTimeout  = time.Second
	generation   = 0 // of the bundle; keys will be rotated once there is recovery
)

// Owner holds one owner's keys, groups and journal. One process at a time can
// hold a directory.
type Owner struct {
	db       *kv.DB
	bundle   seal.Bundle
	recovery protocol.Hash
	created  bool
	lost     bool // the journal that belonged to the secret is gone
	log      *slog.Logger

	mu   sync.Mutex
	open map[protocol.Nonce]*ownGroup // those that this process has opened: one state each
}

// OpenOwner opens the owner's home in dir and makes it on first use: a master
// secret drawn from the system, and an empty journal. It returns ErrInUse when
// another process holds it. Where only the journal is gone it begins a new one, and
// JournalLost reports that.
func OpenOwner(dir string, log *slog.Logger) (*Owner, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open owner: %w", err)
	}
	lost := errors.Is(checkJournal(dir), ErrNoJournal)
	o, err := openOwner(dir, log)
	if err == nil {
		o.lost = lost
	}
	return o, err
}

// ReopenOwner opens an owner's home as OpenOwner does, for work that makes sense
// only where something was put before. It makes nothing: it returns fs.ErrNotExist
// where there is no home, and ErrNoJournal where only the journal is gone.
func ReopenOwner(dir string, log *slog.Logger) (*Owner, error) {
	if err := checkJournal(dir); err != nil {
		return nil, fmt.Errorf("open owner: %w", err)
	}
	return openOwner(dir, log)
}

// checkJournal returns fs.ErrNotExist where there is neither secret nor journal,
// and ErrNoJournal where there is only the secret: when a home is made, the journal
// comes first.
func checkJournal(dir string) error {
	path := filepath.Join(dir, journalFile)
	info, err := os.Stat(path)
	if err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, secretFile)); err != nil {
		return err
	}
	return fmt.Errorf("journal %s: %w", path, ErrNoJournal)
}

func openOwner(dir string, log *slog.Logger) (*Owner, error) {
	o, err := openJournal(dir, log)
	if err != nil {
		return nil, err
	}
	if err := o.unlock(filepath.Join(dir, secretFile)); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// openJournal opens the journal, or makes it. The owner has no keys yet.
func openJournal(dir string, log *slog.Logger) (*Owner, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	db, err := kv.Open(filepath.Join(dir, journalFile), kv.Options{LockTimeout: lockTimeout})
	if errors.Is(err, kv.ErrInUse) {
		return nil, fmt.Errorf("open owner %s: %w", dir, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open owner: %w", err)
	}
	return &Owner{db: db, log: log, open: make(map[protocol.Nonce]*ownGroup)}, nil
}

// unlock derives the owner's keys from the secret, or makes a secret for an owner
// who has none yet. Where the journal has groups, neither a new secret nor another
// owner's is accepted: it could neither use nor free them.
func (o *Owner) unlock(path string) error {
	groups, err := o.groups()
	if err != nil {
		return err
	}
	master, created, err := loadMaster(path, rand.Reader, len(groups) == 0)
	if err != nil {
		return err
	}
	o.bundle, o.recovery, o.created = master.Bundle(generation), master.RecoveryCommitment(), created
	if len(groups) > 0 && !slices.ContainsFunc(groups, o.owns) {
		return fmt.Errorf("read secret %s: it is not the one that the journal beside it was written with: restore both from one backup", path)
	}
	return nil
}

// owns reports whether a group was founded with this owner's key.
func (o *Owner) owns(s *groupState) bool {
	rec, err := s.record()
	return err == nil && rec.Owner == protocol.PublicKeyOf(o.bundle.OwnerKey(s.Nonce))
}

// Created reports whether OpenOwner made the secret, which the owner should be told.
func (o *Owner) Created() bool { return o.created }

// JournalLost reports whether OpenOwner found a secret without its journal, and
// began a new one: what was put before is not listed in it.
func (o *Owner) JournalLost() bool { return o.lost }

// Format writes no key, whatever the verb: package fmt would print those of
// unexported fields.
func (o *Owner) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("owner")) }

// Close lets other processes open the home.
func (o *Owner) Close() error { return o.db.Close() }

// loadMaster reads the secret. Where there is none it draws and stores one, if
// it may.
func loadMaster(path string, random io.Reader, may bool) (m seal.Master, created bool, err error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !may:
		return m, false, fmt.Errorf("read secret %s: it is gone, and what was stored by it is listed still: restore it from a backup", path)
	case errors.Is(err, fs.ErrNotExist):
		m, err = seal.NewMaster(random)
		if err == nil {
			err = writeSecret(path, m)
		}
		return m, true, err
	case err != nil:
		return m, false, fmt.Errorf("read secret: %w", err)
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(string(text)), secretHeader)
	raw, err := hex.DecodeString(rest)
	if !ok || err != nil || len(raw) != len(m) {
		return m, false, fmt.Errorf("read secret %s: not a secret of this version", path)
	}
	copy(m[:], raw)
	return m, false, nil
}

// writeSecret makes the file whole or not at all: write elsewhere, sync,
// rename, sync the directory.
func writeSecret(path string, m seal.Master) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), secretFile+"-*") // 0600
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	_, err = tmp.WriteString(secretHeader + hex.EncodeToString(m[:]) + "\n")
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write secret: %w", err)
	}
	return kv.SyncDir(filepath.Dir(path))
}
