package kv

import "fmt"

// check reads the whole file and returns ErrCorrupt if its pages contradict one
// another.
func (db *DB) check() error {
	return db.View(func(tx *Tx) (err error) {
		defer caught(&err)()
		for e := range tx.bolt.Check() {
			if err == nil {
				err = fmt.Errorf("%w: %w", ErrCorrupt, e)
			}
		}
		return err
	})
}
