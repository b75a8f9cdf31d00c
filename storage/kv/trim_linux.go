package kv

import (
	"fmt"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Trim lets go of the memory in which pages of the file are mapped: a walk over
// a large file would stay in it till the system needs it for others. What is
// read later is mapped again. Elsewhere than on Linux it does nothing.
func (db *DB) Trim() error {
	err := db.bolt.View(func(tx *bbolt.Tx) error { // which keeps the mapping where it is
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
