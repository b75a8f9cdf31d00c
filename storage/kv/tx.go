package kv

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
)

// Tx is one transaction. It must not be used outside the function it was given
// to, nor by two goroutines at a time.
type Tx struct {
	bolt    *bbolt.Tx
	err     error // the first failure: the transaction can only end with it
	changes int   // so far; they tell a scan that the tree has changed under it
}

// Update runs do in a transaction of its own and commits it; when it returns
// nil the changes are durable (unless the DB was opened with NoSync). An error
// of do, or of any Tx method that it called, undoes all of it.
func (db *DB) Update(do func(*Tx) error) error {
	return db.run("update", func(f func(*bbolt.Tx) error) error { return db.bolt.Update(f) }, do)
}

// View runs do in a transaction that reads one consistent state. While it is
// open the file cannot reuse space: keep it short.
func (db *DB) View(do func(*Tx) error) error {
	return db.run("view", func(f func(*bbolt.Tx) error) error { return db.bolt.View(f) }, do)
}

func (db *DB) run(op string, with func(func(*bbolt.Tx) error) error, do func(*Tx) error) (err error) {
	err = db.transact(with, do)
	if err = kindOf(err); err != nil {
		return fmt.Errorf("%s database %s: %w", op, db.path, err)
	}
	return nil
}

// transact tells two kinds of panic apart: bbolt's, over a damaged file, becomes
// an error; the caller's own is passed on.
func (db *DB) transact(with func(func(*bbolt.Tx) error) error, do func(*Tx) error) (err error) {
	var own any
	func() {
		defer caught(&err)()
		err = with(func(b *bbolt.Tx) (err error) {
			defer func() {
				if own = recover(); own != nil {
					err = errPanicked
				}
			}()
			tx := &Tx{bolt: b}
			err = do(tx)
			if tx.err != nil {
				err = tx.err
			}
			return err
		})
	}()
	if own != nil {
		panic(own)
	}
	return err
}

// errPanicked makes bbolt roll back; nobody sees it.
var errPanicked = errors.New("the transaction's function panicked")

// Get returns a copy of the value of a key, and whether there is one.
func (tx *Tx) Get(bucket string, key []byte) (value []byte, ok bool) {
	_ = tx.guard(func() error {
		if b := tx.bolt.Bucket([]byte(bucket)); b != nil {
			if v := b.Get(key); v != nil {
				value, ok = append([]byte{}, v...), true
			}
		}
		return nil
	})
	return value, ok
}

// Put sets the value of a key, which must not be empty, and makes the bucket if
// there is none.
func (tx *Tx) Put(bucket string, key, value []byte) error {
	return tx.guard(func() error {
		b, err := tx.bolt.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		tx.changes++
		// bbolt keeps the value until the commit: it must not change under it.
		return b.Put(key, append([]byte{}, value...))
	})
}

// Delete removes a key. One that does not exist is no error.
func (tx *Tx) Delete(bucket string, key []byte) error {
	return tx.guard(func() error {
		b := tx.bolt.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		tx.changes++
		return b.Delete(key)
	})
}

// Scan yields copies of the keys that begin with prefix and their values, in
// order of keys. The caller may keep them, but must not change a key before the
// next one comes. The loop may change the bucket: the scan sees keys as they are
// when it gets to them. The loop must not drop the bucket.
func (tx *Tx) Scan(bucket string, prefix []byte) iter.Seq2[[]byte, []byte] {
	return tx.ScanFrom(bucket, prefix, prefix)
}

// ScanFrom is Scan from the first key that is not below from. from must begin
// with prefix, too.
func (tx *Tx) ScanFrom(bucket string, prefix, from []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		var b *bbolt.Bucket
		_ = tx.guard(func() error { b = tx.bolt.Bucket([]byte(bucket)); return nil })
		if b == nil {
			return
		}
		c, seen := b.Cursor(), -1
		at, skip := from, false // the next key is the first ≥ at, or > at
		for {
			var k, v []byte
			_ = tx.guard(func() error {
				if seen != tx.changes { // first, or a change made the cursor stale
					seen = tx.changes
					if k, v = c.Seek(at); skip && bytes.Equal(k, at) {
						k, v = c.Next()
					}
				} else {
					k, v = c.Next()
				}
				k, v = cloneBoth(k, v)
				return nil
			})
			if k == nil || tx.err != nil || !bytes.HasPrefix(k, prefix) {
				return
			}
			at, skip = k, true
			if !yield(k, v) {
				return
			}
		}
	}
}

// guard runs one step on bbolt's pages. A panic there means damage.
func (tx *Tx) guard(step func() error) (err error) {
	if tx.err != nil {
		return tx.err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, p)
		}
		if err != nil {
			err = kindOf(err)
			tx.err = err
		}
	}()
	return step()
}

// cloneBoth copies a key and its value into one piece of memory; a nil key
// stays nil.
func cloneBoth(k, v []byte) (key, value []byte) {
	if k == nil {
		return nil, nil
	}
	b := make([]byte, 0, len(k)+len(v))
	b = append(append(b, k...), v...)
	return b[:len(k):len(k)], b[len(k):]
}
