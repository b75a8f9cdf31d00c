package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Parts of a home. Each of the two folders has a lock of its own, so that a node
// and a put can run at the same time.
const (
	nodeDir      = "node"
	ownerDir     = "owner"
	cacheDir     = "cache" // in owner/
	peersFile    = "peers"
	scrubFile    = "scrub"
	contractFile = "contract"
	lockFile     = "lock"
	keyFile      = "key"
	storeDir     = "store"
	socketFile   = "control.sock"
)

// home is the folder of one person's keys, settings and stored shards.
type home struct{ dir string }

func (h home) node(name ...string) string {
	return filepath.Join(append([]string{h.dir, nodeDir}, name...)...)
}
func (h home) owner(name ...string) string {
	return filepath.Join(append([]string{h.dir, ownerDir}, name...)...)
}

// lock locks a part of the home for this process, until the command ends.
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
		return withHint(fmt.Errorf("%s of home %s is %w", what, a.flags.home, errLocked),
			"stop the other one, or use another home: \"--home DIR\"")
	}
	a.onClose(func() { _ = f.Close() })
	return nil
}

// errLocked says that another process holds a file.
var errLocked = errors.New("in use by another process")

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
