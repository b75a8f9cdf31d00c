package client

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

// deleteState is a deletion that some holders still have to be told of. The
// journal has it before anybody hears of it.
type deleteState struct {
	Name     string           `cbor:"name"`
	Size     int64            `cbor:"size"`
	When     int64            `cbor:"when"`    // of the put
	Since    int64            `cbor:"since"`   // Unix seconds
	Pointer  bool             `cbor:"pointer"` // an upload's; else a put's
	Leftover bool             `cbor:"leftover"`
	Enough   bool             `cbor:"enough"` // holders acknowledged it for the others to learn it from them
	Subjects []deletedSubject `cbor:"subjects"`
	Told     []toldGroup      `cbor:"told"`
}

// deletedSubject is a segment or a pointer of one group.
type deletedSubject struct {
	_       struct{} `cbor:",toarray"`
	Group   protocol.GroupID
	Subject []byte
}

// held returns the subject, which must be a segment.
func (s deletedSubject) held() heldSegment {
	return heldSegment{Group: s.Group, Segment: protocol.SegmentID(s.Subject)}
}

// toldGroup says which members of a group have acknowledged the deletion of all
// its subjects, and are believed.
type toldGroup struct {
	_     struct{} `cbor:",toarray"`
	Group protocol.GroupID
	Slots []bool
}

// segments returns how many of the subjects are segments.
func (d *deleteState) segments() (n int) {
	for _, s := range d.Subjects {
		if len(s.Subject) == len(protocol.SegmentID{}) {
			n++
		}
	}
	return n
}

// groups returns the subjects of each group, and the groups in the order in which
// they first appear.
func (d *deleteState) groups() (order []protocol.GroupID, subjects map[protocol.GroupID][][]byte) {
	subjects = make(map[protocol.GroupID][][]byte)
	for _, s := range d.Subjects {
		if subjects[s.Group] == nil {
			order = append(order, s.Group)
		}
		subjects[s.Group] = append(subjects[s.Group], s.Subject)
	}
	return order, subjects
}

// told returns which of a group's n slots have acknowledged.
func (d *deleteState) told(g protocol.GroupID, n int) []bool {
	out := make([]bool, n)
	for _, t := range d.Told {
		if t.Group == g {
			copy(out, t.Slots)
		}
	}
	return out
}

func putDelete(tx *kv.Tx, id []byte, d *deleteState) error {
	b, err := protocol.Encode(d)
	if err != nil {
		return err
	}
	return tx.Put(bucketDeletes, id, b)
}

// deletion returns a deletion of the journal, or nil.
func deletion(tx *kv.Tx, id []byte) (*deleteState, error) {
	b, ok := tx.Get(bucketDeletes, id)
	if !ok {
		return nil, nil
	}
	d := new(deleteState)
	return d, protocol.Decode("deletion", b, d)
}

// deleteUpload takes an upload from the list and notes what its holders are to
// be told. Called again it returns the deletion that is under way. It returns
// ErrNotOwn where this home did not put the upload, ErrDeleted where it has
// finished deleting it, and an OtherNetworkError, having noted nothing, where it is
// not of the network.
func (o *Owner) deleteUpload(id protocol.PointerID, network string, now time.Time) (d *deleteState, err error) {
	err = o.db.Update(func(tx *kv.Tx) error {
		if d, err = deletion(tx, id[:]); d != nil || err != nil {
			return err
		}
		b, ok := tx.Get(bucketUploads, id[:])
		if !ok {
			return gone(tx, id[:])
		}
		var u uploadState
		if err := protocol.Decode("upload", b, &u); err != nil {
			return err
		}
		home, err := groupByPrefix(tx, u.Home)
		if err != nil {
			return err
		}
		pointer := deletedSubject{Group: home, Subject: id[:]}
		nets, err := networksOf(tx)
		if err == nil {
			err = nets.check(network, append(subjectsOf(u.Held), pointer))
		}
		if err == nil {
			err = tx.Delete(bucketUploads, id[:])
		}
		if err != nil {
			return err
		}
		d = &deleteState{Name: u.Name, Size: u.Size, When: u.When, Since: now.Unix(), Pointer: true}
		if d.Subjects, err = unneeded(tx, subjectsOf(u.Held)); err != nil {
			return err
		}
		d.Subjects = append(d.Subjects, pointer)
		return putDelete(tx, id[:], d)
	})
	if err != nil {
		return nil, fmt.Errorf("note a deletion: %w", err)
	}
	return d, nil
}

func subjectsOf(held []heldSegment) []deletedSubject {
	out := make([]deletedSubject, len(held))
	for i, h := range held {
		out[i] = deletedSubject{Group: h.Group, Subject: h.Segment[:]}
	}
	return out
}

// groupByPrefix returns the ID of a group of the journal.
func groupByPrefix(tx *kv.Tx, p protocol.GroupPrefix) (id protocol.GroupID, err error) {
	states, err := groupsIn(tx)
	if err != nil {
		return id, err
	}
	for _, s := range states {
		if s.id().Prefix() == p {
			return s.id(), nil
		}
	}
	return id, fmt.Errorf("the journal has no group %s", p)
}

// putPrefix returns the beginning of the ID of the unfinished put with a name.
func putPrefix(name string) ([]byte, bool) {
	digits, ok := strings.CutPrefix(name, UnfinishedPrefix)
	prefix, err := hex.DecodeString(digits)
	return prefix, ok && err == nil && len(prefix) == 8
}

// deletePut takes an unfinished put from the list, by the name that Uploads
// gives it, and notes what its holders are to be told. A second call and a put of
// another network are treated as by deleteUpload.
func (o *Owner) deletePut(name, network string, now time.Time) (id putID, d *deleteState, err error) {
	prefix, ok := putPrefix(name)
	if !ok {
		return id, nil, fmt.Errorf("unfinished put %q: %w", name, ErrNotOwn)
	}
	err = o.db.Update(func(tx *kv.Tx) error {
		for key, b := range tx.Scan(bucketDeletes, prefix) {
			d = new(deleteState)
			id = putID(key)
			return protocol.Decode("deletion", b, d)
		}
		for key, b := range tx.Scan(bucketPuts, prefix) {
			var p putState
			if err := protocol.Decode("put", b, &p); err != nil {
				return err
			}
			id = putID(key)
			d = &deleteState{Name: p.Name, Size: p.Size, When: p.Started, Since: now.Unix()}
			nets, err := networksOf(tx)
			if err != nil {
				return err
			}
			left, err := granted(tx, id)
			if err == nil {
				err = nets.check(network, left)
			}
			if err == nil {
				err = forgetPut(tx, id)
			}
			if err == nil {
				d.Subjects, err = unneeded(tx, left)
			}
			if err != nil {
				return err
			}
			if len(d.Subjects) == 0 { // nobody is to be told, so nothing would ever end it
				d.Enough = true
				return putDeleted(tx, key, d)
			}
			return putDelete(tx, key, d)
		}
		return gone(tx, prefix)
	})
	if err != nil {
		return id, nil, fmt.Errorf("unfinished put %q: %w", name, err)
	}
	return id, d, nil
}

// untold lists the deletions of which too few holders know.
func untold(tx *kv.Tx, nets networks) (list []Upload, err error) {
	for id, b := range tx.Scan(bucketDeletes, nil) {
		var d deleteState
		if err := protocol.Decode("deletion", b, &d); err != nil {
			return nil, err
		}
		if d.Leftover || d.Enough || len(d.Subjects) == 0 { // earlier versions noted some without any
			continue
		}
		u := Upload{Network: nets.of(d.Subjects), Name: d.Name, Size: d.Size, When: time.Unix(d.When, 0), Segments: d.segments(), Deleting: true}
		if d.Pointer {
			u.Link.Pointer = protocol.PointerID(id)
		} else {
			u.Unfinished, u.ID = true, putID(id).text()
		}
		list = append(list, u)
	}
	return list, nil
}

// deletions returns every deletion that somebody still has to be told of.
func (o *Owner) deletions() (map[putID]*deleteState, error) {
	all := make(map[putID]*deleteState)
	err := o.db.View(func(tx *kv.Tx) error {
		for id, b := range tx.Scan(bucketDeletes, nil) {
			d := new(deleteState)
			if err := protocol.Decode("deletion", b, d); err != nil {
				return err
			}
			if len(id) == len(putID{}) {
				all[putID(id)] = d
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read deletions: %w", err)
	}
	return all, nil
}

// saveReceipts notes which holders have acknowledged a deletion. Once nobody need
// be told any more it forgets all but that it happened and when. What another session
// has noted of it meanwhile counts, too; d is then as the journal has it.
func (o *Owner) saveReceipts(id putID, d *deleteState, over bool) error {
	err := o.db.Update(func(tx *kv.Tx) error {
		noted, err := deletion(tx, id[:])
		switch {
		case err != nil:
			return err
		case noted == nil: // its end is noted
			d.Enough = d.Enough || errors.Is(gone(tx, id[:]), ErrDeleted)
			return nil
		}
		d.add(noted)
		if over {
			return errors.Join(tx.Delete(bucketDeletes, id[:]), putDeleted(tx, id[:], d))
		}
		return putDelete(tx, id[:], d)
	})
	if err != nil {
		return fmt.Errorf("note receipts: %w", err)
	}
	return nil
}

// add adds the receipts of the same deletion that others noted. Where enough holders
// said that they know it, they do, whoever answers later.
func (d *deleteState) add(noted *deleteState) {
	d.Enough = d.Enough || noted.Enough
	for _, t := range d.Told {
		for slot, ok := range noted.told(t.Group, len(t.Slots)) {
			t.Slots[slot] = t.Slots[slot] || ok
		}
	}
}
