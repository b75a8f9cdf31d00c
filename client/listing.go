package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Listing is what can be read of an owner's home without its keys.
type Listing struct {
	Uploads []Upload // as Owner.Uploads returns them, with their links

	// Unfit says why the secret does not serve: it is gone, unreadable or not the one
	// that the journal was written with. Such a home can neither put, renew nor delete.
	Unfit error
}

// ReadListing reads what was put from the owner's home in dir. It needs the journal
// alone, and makes nothing. Its errors are those of ReopenOwner, except for a secret
// that does not serve.
func ReadListing(dir string) (l *Listing, err error) {
	if err := checkJournal(dir); err != nil {
		return nil, fmt.Errorf("open owner: %w", err)
	}
	o, err := openJournal(dir, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	l = &Listing{Unfit: o.tryUnlock(filepath.Join(dir, secretFile))}
	l.Uploads, err = o.Uploads()
	return l, err
}

// tryUnlock does what unlock does, but makes no secret where there is none yet.
func (o *Owner) tryUnlock(path string) error {
	groups, err := o.groups()
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && len(groups) == 0 {
		return nil
	}
	return o.unlock(path)
}
