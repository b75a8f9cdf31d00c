package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// versionFile says which version a home's files are of. Without it, a home that
// has anything in it is of version 1.
const (
	versionFile    = "VERSION"
	homeVersion    = 1 // what this cairn writes and reads
	maxVersionFile = 64
)

// migrations bring a home to this version: the first from 1 to 2, and so on. Each
// may have been cut off in an earlier try, so it must be possible to do it again,
// and it leaves what it changes readable until it is done.
var migrations = [homeVersion - 1]func(home) error{}

// errNewerHome says that a later cairn wrote a home.
var errNewerHome = errors.New("it was written by a newer cairn")

// openHome makes the home on first use, brings an older one to this version
// and refuses a newer one.
func (a *app) openHome() (home, error) {
	h := home{a.flags.home}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return h, withHint(fmt.Errorf("open home: %w", err), "choose another folder: \"--home DIR\"")
	}
	if err := h.bringTo(migrations[:], a.note); err != nil {
		return h, fmt.Errorf("open home: %w", err)
	}
	return h, nil
}

// bringTo brings the home to the version that steps lead to; the first step leads
// from 1 to 2.
func (h home) bringTo(steps []func(home) error, say func(string, ...any)) error {
	known := len(steps) + 1
	v, err := h.version(known)
	if errors.Is(err, fs.ErrNotExist) {
		v, err = h.unmarked(known)
	}
	if err != nil || v == known {
		return err
	}
	return h.migrate(steps, say)
}

// version reads the home's version. It returns fs.ErrNotExist where none is
// written, errNewerHome for one later than known.
func (h home) version(known int) (int, error) {
	path := filepath.Join(h.dir, versionFile)
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if info.Size() > maxVersionFile {
		return 0, fmt.Errorf("%s holds no version number", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil || v < 1:
		return 0, withHint(fmt.Errorf("%s holds no version number", path), "restore it from a backup, or use another home: \"--home DIR\"")
	case v > known:
		return 0, withHint(fmt.Errorf("%s: %w (home version %d, known up to %d)", h.dir, errNewerHome, v, known),
			"update this cairn, or use another home: \"--home DIR\"")
	}
	return v, nil
}

// unmarked writes VERSION into a home without it: the known version into a new home,
// 1 into one that is in use already.
func (h home) unmarked(known int) (int, error) {
	for _, part := range []string{h.node(), h.owner()} {
		switch _, err := os.Lstat(part); {
		case err == nil:
			return 1, h.setVersion(1)
		case !errors.Is(err, fs.ErrNotExist):
			return 0, err
		}
	}
	return known, h.setVersion(known)
}

func (h home) setVersion(v int) error {
	return writeWhole(filepath.Join(h.dir, versionFile), []byte(strconv.Itoa(v)+"\n"))
}

// migrate takes the steps that are left. Each is done once VERSION says so; nobody
// else can use the home meanwhile.
func (h home) migrate(steps []func(home) error, say func(string, ...any)) error {
	release, err := h.hold()
	if err != nil {
		return err
	}
	defer release()
	v, err := h.version(len(steps) + 1) // another process may have been faster
	if err != nil {
		return err
	}
	for ; v <= len(steps); v++ {
		say("bringing %s from home version %d to %d", h.dir, v, v+1)
		if err := steps[v-1](h); err != nil {
			return fmt.Errorf("bring %s from version %d to %d: %w", h.dir, v, v+1, err)
		}
		if err := h.setVersion(v + 1); err != nil {
			return err
		}
	}
	return nil
}

// journalFile is locked by a process that has owner/ open (package client). On
// Windows that lock is of another kind and not seen here: there a step meets it when
// it opens the journal.
const journalFile = "journal.db"

// hold locks those parts of the home that exist, or says who has one open.
func (h home) hold() (release func(), err error) {
	var held []*os.File
	release = func() {
		for _, f := range held {
			_ = f.Close() // frees the lock
		}
	}
	for path, who := range map[string]string{h.node(lockFile): "a node", h.owner(journalFile): "another command"} {
		f, err := lockExisting(path)
		if errors.Is(err, errLocked) {
			err = withHint(fmt.Errorf("%s is of an older version, and %s has it open", h.dir, who), "stop it, then try again: the home is brought up to date first")
		}
		if err != nil {
			release()
			return nil, err
		}
		if f != nil {
			held = append(held, f)
		}
	}
	return release, nil
}

// lockExisting locks a file. It returns nil where there is none: then nobody has it.
func lockExisting(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if tryLock(f) != nil {
		_ = f.Close()
		return nil, errLocked
	}
	return f, nil
}
