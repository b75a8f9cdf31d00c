package kv

import (
	"fmt"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Trim releases the memory in which pages of the file are mapped: after a walk
// over a large file they would stay there until the system needs it. Pages that
// are read later are mapped again. On other systems than Linux it does nothing.
func (db *DB) Trim() error {
	err := db.bolt.View(func(tx *bbolt.Tx) error { // a transaction keeps the mapping in place
		at := db.bolt.Info().Data
		if at == 0 || tx.Size() == 0 {
			return nil
		}
		if _, _, e := unix.Syscall(unix.SYS_MADVISE, at, uintptr(tx.Size()), unix.MADV_DONTNEED); e != 0 {
			return e
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("trim database %s: %w", db.path, kindOf(err))
	}
	return nil
}
