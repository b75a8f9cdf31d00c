package client

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

// Buckets of the journal.
const (
	bucketGroups  = "groups"  // nonce → groupState
	bucketPuts    = "puts"    // put ID → putState
	bucketSafe    = "safe"    // put ID ‖ index → safeState of a content segment
	bucketSent    = "sent"    // put ID ‖ segment ID → group ID: granted, so holders may keep it
	bucketUploads = "uploads" // pointer ID → uploadState
	bucketPacks   = "packs"   // put ID ‖ batch → packState
	bucketDeletes = "deletes" // put or pointer ID → deleteState
	bucketDeleted = "deleted" // put or pointer ID → Unix seconds, of deletions that are over
)

// groupState is what the owner keeps of a group.
type groupState struct {
	Nonce     protocol.Nonce   `cbor:"nonce"`
	Record    []byte           `cbor:"record"`
	Table     []byte           `cbor:"table"`
	Profile   protocol.Profile `cbor:"profile"`
	Envelopes [][]byte         `cbor:"envelopes"` // by slot; empty: unknown
	Segments  int              `cbor:"segments"`  // ever granted
	Bytes     int64            `cbor:"bytes"`     // sealed bytes ever granted
	Pointers  int              `cbor:"pointers"`
	Closed    bool             `cbor:"closed"`
	Formed    int64            `cbor:"formed"`  // Unix seconds
	Renewed   int64            `cbor:"renewed"` // Unix seconds of the last renewal told
}

// putState is a put that has begun.
type putState struct {
	Name    string `cbor:"name"`
	Path    string `cbor:"path"`
	Size    int64  `cbor:"size"`
	MTime   int64  `cbor:"mtime"` // Unix nanoseconds
	Inode   uint64 `cbor:"inode"`
	Started int64  `cbor:"started"` // Unix seconds

	Profile protocol.Profile `cbor:"profile"`
}

// uploadState is a put whose pointer is acknowledged.
type uploadState struct {
	Home     protocol.GroupPrefix `cbor:"home"`
	Read     protocol.Secret      `cbor:"read"`
	Pointer  protocol.Secret      `cbor:"pointer"` // seed of its key
	Seq      int64                `cbor:"seq"`
	Hints    [][]byte             `cbor:"hints"`
	Name     string               `cbor:"name"`
	Size     int64                `cbor:"size"`
	When     int64                `cbor:"when"` // Unix seconds
	Profile  protocol.Profile     `cbor:"profile"`
	Segments int                  `cbor:"segments"`
	Stored   int                  `cbor:"stored"` // shards of the lowest segment
	Held     []heldSegment        `cbor:"held"`   // to be deleted with the link
}

// packState is a put of many files without links: what holders keep for it.
type packState struct {
	When int64         `cbor:"when"` // Unix seconds
	Held []heldSegment `cbor:"held"`
}

// heldSegment names a segment and the group whose members hold it.
type heldSegment struct {
	_       struct{} `cbor:",toarray"`
	Group   protocol.GroupID
	Segment protocol.SegmentID
}

// Upload is one put without a drive, finished or not.
type Upload struct {
	Network    string        // where it was put; empty: nothing of it is stored yet
	Link       protocol.Link // zero while unfinished
	Name       string
	Path       string // of the source, where it was a file
	Size       int64  // bytes; -1: unknown yet
	When       time.Time
	Profile    protocol.Profile
	Segments   int // content and manifest
	Stored     int // shards of the lowest segment
	Unfinished bool
	Deleting   bool   // it is deleted, and too few holders know yet
	ID         string // names an unfinished put to DeleteUnfinished; empty: it is finished
}

// Uploads returns every put of this owner, oldest first. Those that were cut
// off are marked, and so are those whose deletion too few holders know of yet.
func (o *Owner) Uploads() ([]Upload, error) {
	var list []Upload
	err := o.db.View(func(tx *kv.Tx) error {
		nets, err := networksOf(tx)
		if err != nil {
			return err
		}
		for id, b := range tx.Scan(bucketUploads, nil) {
			var u uploadState
			if err := protocol.Decode("upload", b, &u); err != nil {
				return err
			}
			up := u.show(protocol.PointerID(id))
			up.Network = nets[u.Home]
			list = append(list, up)
		}
		for id, b := range tx.Scan(bucketPuts, nil) {
			var p putState
			if err := protocol.Decode("put", b, &p); err != nil {
				return err
			}
			sent, err := granted(tx, putID(id))
			if err != nil {
				return err
			}
			list = append(list, Upload{
				Network: nets.of(sent), Name: p.Name, Path: p.Path, Size: p.Size, When: time.Unix(p.Started, 0), Unfinished: true, ID: putID(id).text(),
			})
		}
		deleting, err := untold(tx, nets)
		list = append(list, deleting...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list uploads: %w", err)
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].When.Before(list[j].When) })
	return list, nil
}

func (u *uploadState) show(id protocol.PointerID) Upload {
	l := protocol.Link{Pointer: id, Home: u.Home, Read: u.Read}
	for _, h := range u.Hints {
		if m, err := protocol.ParseHint(h); err == nil {
			l.Hints = append(l.Hints, m)
		}
	}
	return Upload{
		Link: l, Name: u.Name, Size: u.Size, When: time.Unix(u.When, 0),
		Profile: u.Profile, Segments: u.Segments, Stored: u.Stored,
	}
}

// putID names a put in the journal.
type putID [16]byte

// text returns the name of an unfinished put for people.
func (id putID) text() string { return UnfinishedPrefix + hex.EncodeToString(id[:8]) }

// UnfinishedPrefix begins the names of unfinished puts.
const UnfinishedPrefix = "put-"

func (o *Owner) beginPut(id putID, p putState) error {
	return o.store("begin put", bucketPuts, id[:], &p)
}

func safeKey(id putID, index int) []byte {
	return binary.BigEndian.AppendUint32(id[:], uint32(index))
}

// markSafe journals a segment once it is safe: its key is written down only then,
// so that no key of an unacknowledged sealing outlives the session.
func (o *Owner) markSafe(id putID, index int, s *safeState) error {
	return o.store("mark segment safe", bucketSafe, safeKey(id, index), s)
}

// forgetSafe takes back what markSafe wrote of a segment: a session that resumes
// the put sends it anew.
func (o *Owner) forgetSafe(id putID, index int) error {
	err := o.db.Update(func(tx *kv.Tx) error { return tx.Delete(bucketSafe, safeKey(id, index)) })
	if err != nil {
		return fmt.Errorf("forget segment: %w", err)
	}
	return nil
}

// finishPut moves a put to the uploads. What it granted and no longer uses is noted
// for deletion.
func (o *Owner) finishPut(id putID, ptr protocol.PointerID, u *uploadState) error {
	b, err := protocol.Encode(u)
	if err != nil {
		return err
	}
	err = o.db.Update(func(tx *kv.Tx) error {
		if err := tx.Put(bucketUploads, ptr[:], b); err != nil {
			return err
		}
		return dropPut(tx, id, u.Held, u.When)
	})
	if err != nil {
		return fmt.Errorf("finish put: %w", err)
	}
	return nil
}

// notePack notes what a batch of a put of many files has stored. The keys to read
// it are not in the journal: the caller of PutAll gets them with each file.
func (o *Owner) notePack(id putID, batch int, s *packState) error {
	b, err := protocol.Encode(s)
	if err == nil {
		err = o.db.Update(func(tx *kv.Tx) error {
			err := errors.Join(tx.Put(bucketPacks, safeKey(id, batch), b), dropAll(tx, bucketSafe, id[:]))
			for _, h := range s.Held {
				err = errors.Join(err, tx.Delete(bucketSent, sentKey(id, h.Segment)))
			}
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("note what is stored: %w", err)
	}
	return nil
}

// endPack forgets a put of many files that is finished.
func (o *Owner) endPack(id putID, now int64) error {
	if err := o.db.Update(func(tx *kv.Tx) error { return dropPut(tx, id, nil, now) }); err != nil {
		return fmt.Errorf("finish put: %w", err)
	}
	return nil
}

// abandonPut forgets a put that never reached its first safe segment, except for
// the deletions that its holders still have to be told of.
func (o *Owner) abandonPut(id putID, now int64) error {
	return o.db.Update(func(tx *kv.Tx) error {
		for range tx.Scan(bucketSafe, id[:]) {
			return nil // something of it is stored: it stays listed
		}
		return dropPut(tx, id, nil, now)
	})
}

// dropPut forgets a put, and notes for deletion what it granted that is not in
// holds and that nothing else in the journal refers to.
func dropPut(tx *kv.Tx, id putID, holds []heldSegment, now int64) error {
	left, err := granted(tx, id)
	if err == nil {
		err = forgetPut(tx, id)
	}
	left = slices.DeleteFunc(left, func(s deletedSubject) bool { return slices.Contains(holds, s.held()) })
	if err == nil {
		left, err = unneeded(tx, left)
	}
	if err != nil || len(left) == 0 {
		return err
	}
	return putDelete(tx, id[:], &deleteState{Since: now, Leftover: true, Subjects: left})
}

func forgetPut(tx *kv.Tx, id putID) error {
	return errors.Join(dropAll(tx, bucketSafe, id[:]), dropAll(tx, bucketSent, id[:]), tx.Delete(bucketPuts, id[:]))
}

func sentKey(id putID, s protocol.SegmentID) []byte { return append(id[:], s[:]...) }

func dropAll(tx *kv.Tx, bucket string, prefix []byte) error {
	var keys [][]byte
	for k := range tx.Scan(bucket, prefix) {
		keys = append(keys, k)
	}
	for _, k := range keys {
		if err := tx.Delete(bucket, k); err != nil {
			return err
		}
	}
	return nil
}

// saveGrant notes, before anybody hears of it, that a put has granted a segment in
// a group, and the group's new totals.
func (o *Owner) saveGrant(id putID, g *groupState, s heldSegment) error {
	b, err := protocol.Encode(g)
	if err == nil {
		err = o.db.Update(func(tx *kv.Tx) error {
			return errors.Join(tx.Put(bucketGroups, g.Nonce[:], b), tx.Put(bucketSent, sentKey(id, s.Segment), s.Group[:]))
		})
	}
	if err != nil {
		return fmt.Errorf("note a grant: %w", err)
	}
	return nil
}

func (o *Owner) saveGroup(g *groupState) error {
	return o.store("save group", bucketGroups, g.Nonce[:], g)
}

// groups returns every group that this owner ever formed.
func (o *Owner) groups() ([]*groupState, error) {
	var list []*groupState
	err := o.db.View(func(tx *kv.Tx) (err error) {
		list, err = groupsIn(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	return list, nil
}

func groupsIn(tx *kv.Tx) (list []*groupState, err error) {
	for _, b := range tx.Scan(bucketGroups, nil) {
		g := new(groupState)
		if err := protocol.Decode("group", b, g); err != nil {
			return nil, err
		}
		list = append(list, g)
	}
	return list, nil
}

func (o *Owner) store(op, bucket string, key []byte, v any) error {
	b, err := protocol.Encode(v)
	if err == nil {
		err = o.db.Update(func(tx *kv.Tx) error { return tx.Put(bucket, key, b) })
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}
