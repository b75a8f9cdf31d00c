package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Parts of a home. Each of the two folders has a lock of its own, so that a
// node and a put live side by side.
const (
	versionFile = "VERSION"
	homeVersion = 1 // what this cairn writes and reads

	nodeDir    = "node"
	ownerDir   = "owner"
	cacheDir   = "cache" // in owner/
	peersFile  = "peers"
	lockFile   = "lock"
	keyFile    = "key"
	storeDir   = "store"
	socketFile = "control.sock"
)

// home is the folder of one person's keys, settings and stored shards.
type home struct{ dir string }

func (h home) node(name ...string) string {
	return filepath.Join(append([]string{h.dir, nodeDir}, name...)...)
}
func (h home) owner(name ...string) string {
	return filepath.Join(append([]string{h.dir, ownerDir}, name...)...)
}

// openHome makes the home on first use and checks that it is of a version that
// this cairn understands.
func (a *app) openHome() (home, error) {
	h := home{a.flags.home}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return h, withHint(fmt.Errorf("open home: %w", err), "choose another folder: \"--home DIR\"")
	}
	path := filepath.Join(h.dir, versionFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, writeWhole(path, []byte(strconv.Itoa(homeVersion)+"\n"))
	}
	if err != nil {
		return h, fmt.Errorf("open home: %w", err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil || v < 1:
		return h, fmt.Errorf("open home: %s holds no version number", path)
	case v > homeVersion:
		return h, withHint(fmt.Errorf("open home: %s was written by a newer cairn (home version %d, known up to %d)", h.dir, v, homeVersion),
			"update this cairn, or use another home: \"--home DIR\"")
	}
	return h, nil
}

// lock takes a part of the home for this process, until it ends.
func (a *app) lock(dir, what string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("lock %s: %w", what, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock %s: %w", what, err)
	}
	if err := tryLock(f); err != nil {
		_ = f.Close()
		return withHint(fmt.Errorf("%s of home %s is in use by another process", what, a.flags.home),
			"stop the other one, or use another home: \"--home DIR\"")
	}
	a.onClose(func() { _ = f.Close() })
	return nil
}

// dataDir is where the platform keeps a program's data.
func dataDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" && filepath.IsAbs(dir) {
		return filepath.Join(dir, "cairn"), nil
	}
	if dir := os.Getenv("LocalAppData"); dir != "" && runtime.GOOS == "windows" {
		return filepath.Join(dir, "cairn"), nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home: %w", err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(user, "Library", "Application Support", "cairn"), nil
	}
	return filepath.Join(user, ".local", "share", "cairn"), nil
}

// writeWhole replaces a file by content or leaves it as it was: write
// elsewhere, sync, rename, sync the folder. Only the user can read it.
func writeWhole(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*") // 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}
