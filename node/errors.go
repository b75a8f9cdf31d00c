package node

import (
	"errors"
	"fmt"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// storeRefusal says what a peer may know of a store's error: its kind. Errors
// without a kind stay as they are and cross the wire as CodeUnavailable.
func storeRefusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrFull):
		return protocol.Refuse(protocol.CodeFull, "the donation or the disk is full")
	case errors.Is(err, storage.ErrSuspended):
		return protocol.Refuse(protocol.CodeSuspended, "the disk is not mounted")
	case errors.Is(err, storage.ErrCorrupt):
		return protocol.Refuse(protocol.CodeCorrupt, "the disk gives other bytes than were stored")
	case errors.Is(err, storage.ErrConflict):
		return protocol.Refuse(protocol.CodeConflict, "the shard is held for another group")
	case errors.Is(err, storage.ErrNotFound):
		return protocol.Refuse(protocol.CodeNotFound, "not held here")
	}
	return err
}

// hideStore turns a store's error into a refusal, and logs what the donor should
// know. It does not log that a disk is missing: the store has done so once.
func (n *Node) hideStore(op string, err error) error {
	if err == nil {
		return nil
	}
	no := storeRefusal(err)
	if !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrFull) && !errors.Is(err, storage.ErrSuspended) {
		n.log.Error("store fails", "op", op, "err", err)
	}
	return fmt.Errorf("%s: %w", op, no)
}
