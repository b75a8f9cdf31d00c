package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Found is what Inspect sees in a store's folder. Sizes are in bytes.
type Found struct {
	Owner string // whose store it is; empty: nobody's, as before its first use
	InUse bool   // a process has it open
	Used  int64  // what its logs take, including what is deleted and not yet reclaimed
	Free  int64  // what it can still take, by its quota and by the file system
}

// Inspect looks at a store without opening or changing it, to find out what keeps
// a node from starting. It returns ErrSuspended if cfg.Existing or logs say that
// a store was there but it is not, ErrForeign if the sentinel is none, and
// otherwise what the file system says. Whose store it is, is for the caller to
// compare.
func Inspect(cfg Config) (Found, error) {
	cfg = cfg.withDefaults()
	f, err := inspect(&cfg)
	if err != nil {
		return f, fmt.Errorf("inspect store %s: %w", cfg.Dir, err)
	}
	return f, nil
}

func inspect(cfg *Config) (Found, error) {
	var f Found
	b, err := readFile(cfg.FS, filepath.Join(cfg.Dir, sentinelName), sentinelMax)
	switch {
	case err == nil:
		s, err := parseSentinel(b)
		if err != nil {
			return f, err
		}
		f.Owner = s.owner
	case errors.Is(err, ErrLimit):
		return f, ErrForeign
	case !errors.Is(err, fs.ErrNotExist):
		return f, err
	case cfg.Existing:
		return f, ErrSuspended
	}
	if f.Used, err = logBytes(cfg); err != nil {
		return f, err
	}
	if f.Owner == "" && f.Used > 0 {
		return f, ErrSuspended
	}
	if f.InUse, err = inUse(cfg); err != nil {
		return f, err
	}
	space, err := newSpace(cfg)
	if err != nil {
		return f, err
	}
	f.Free = space.left()
	if limit, _ := sizes(cfg.Quota); limit > 0 {
		f.Free = min(f.Free, limit-f.Used)
	}
	f.Free = max(0, f.Free)
	return f, nil
}

// logBytes returns what the logs take; a folder that is not there has none.
func logBytes(cfg *Config) (sum int64, err error) {
	dir := filepath.Join(cfg.Dir, logsName)
	names, err := cfg.FS.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if _, ok := logNumber(name); !ok {
			continue
		}
		f, err := cfg.FS.Open(filepath.Join(dir, name))
		if err != nil {
			return 0, err
		}
		size, err := f.Size()
		if err := errors.Join(err, f.Close()); err != nil {
			return 0, err
		}
		sum += size
	}
	return sum, nil
}

// inUse reports whether a process has the store's lock. It makes no lock file
// where there is none.
func inUse(cfg *Config) (bool, error) {
	name := filepath.Join(cfg.Dir, lockName)
	f, err := cfg.FS.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := f.Close(); err != nil {
		return false, err
	}
	lock, err := cfg.FS.Lock(name)
	if errors.Is(err, ErrInUse) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, lock.Close()
}
