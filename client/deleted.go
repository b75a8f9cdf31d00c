package client

import (
	"fmt"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

// putDeleted keeps, of a deletion that the owner asked for and that is over, only
// that it happened and when.
func putDeleted(tx *kv.Tx, id []byte, d *deleteState) error {
	if d.Leftover || !d.Enough {
		return nil
	}
	b, err := protocol.Encode(d.Since)
	if err != nil {
		return err
	}
	return tx.Put(bucketDeleted, id, b)
}

// gone says why the journal lists nothing under an ID or the beginning of one.
func gone(tx *kv.Tx, id []byte) error {
	for range tx.Scan(bucketDeleted, id) {
		return ErrDeleted
	}
	return ErrNotOwn
}

// DeletedAt returns when this home deleted what a link leads to, once enough
// holders know of it that it is no longer listed; else the zero time.
func (o *Owner) DeletedAt(link protocol.Link) (time.Time, error) {
	return o.deletedAt(link.Pointer[:])
}

// UnfinishedDeletedAt is DeletedAt of an unfinished put, by its Upload's ID.
func (o *Owner) UnfinishedDeletedAt(name string) (time.Time, error) {
	prefix, ok := putPrefix(name)
	if !ok {
		return time.Time{}, nil
	}
	return o.deletedAt(prefix)
}

func (o *Owner) deletedAt(prefix []byte) (at time.Time, err error) {
	err = o.db.View(func(tx *kv.Tx) error {
		for _, b := range tx.Scan(bucketDeleted, prefix) {
			var since int64
			if err := protocol.Decode("deleted", b, &since); err != nil {
				return err
			}
			at = time.Unix(since, 0)
		}
		for _, b := range tx.Scan(bucketDeletes, prefix) {
			var d deleteState
			if err := protocol.Decode("deletion", b, &d); err != nil {
				return err
			}
			if d.Enough && !d.Leftover {
				at = time.Unix(d.Since, 0)
			}
		}
		return nil
	})
	if err != nil {
		return at, fmt.Errorf("read deletions: %w", err)
	}
	return at, nil
}
