package client

import (
	"fmt"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

// granted returns the segments that the journal lists as granted by a put.
func granted(tx *kv.Tx, id putID) ([]deletedSubject, error) {
	seen := make(map[heldSegment]bool)
	for key, g := range tx.Scan(bucketSent, id[:]) {
		if len(key) == len(id)+len(protocol.SegmentID{}) && len(g) == len(protocol.GroupID{}) {
			seen[heldSegment{Group: protocol.GroupID(g), Segment: protocol.SegmentID(key[len(id):])}] = true
		}
	}
	for _, b := range tx.Scan(bucketSafe, id[:]) { // in older journals the only account
		var s safeState
		if err := protocol.Decode("safe segment", b, &s); err != nil {
			return nil, err
		}
		seen[heldSegment{Group: s.Extent.Group, Segment: s.Extent.Segment}] = true
	}
	held := make([]heldSegment, 0, len(seen))
	for h := range seen {
		held = append(held, h)
	}
	return subjectsOf(held), nil
}

// unneeded returns the segments of list to which nothing in the journal refers:
// many files may share one.
func unneeded(tx *kv.Tx, list []deletedSubject) ([]deletedSubject, error) {
	if len(list) == 0 {
		return nil, nil
	}
	needed, err := references(tx)
	if err != nil {
		return nil, err
	}
	var out []deletedSubject
	for _, s := range list {
		if !needed[s.held()] {
			out = append(out, s)
		}
	}
	return out, nil
}

// references returns every segment to which the journal refers.
func references(tx *kv.Tx) (map[heldSegment]bool, error) {
	refs := make(map[heldSegment]bool)
	for _, b := range tx.Scan(bucketUploads, nil) {
		var u uploadState
		if err := protocol.Decode("upload", b, &u); err != nil {
			return nil, err
		}
		for _, h := range u.Held {
			refs[h] = true
		}
	}
	for _, b := range tx.Scan(bucketPacks, nil) {
		var p packState
		if err := protocol.Decode("pack", b, &p); err != nil {
			return nil, err
		}
		for _, h := range p.Held {
			refs[h] = true
		}
	}
	for id := range tx.Scan(bucketPuts, nil) {
		if len(id) != len(putID{}) {
			continue
		}
		list, err := granted(tx, putID(id))
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			refs[s.held()] = true
		}
	}
	return refs, nil
}

// deletePacked takes from the journal the segments that PutAll stored in a network
// and that live does not want, and notes what their holders are to be told.
func (o *Owner) deletePacked(id putID, live func(protocol.GroupID, protocol.SegmentID) bool, network string, now time.Time) (d *deleteState, err error) {
	d = &deleteState{Since: now.Unix(), Leftover: true}
	err = o.db.Update(func(tx *kv.Tx) error {
		nets, err := networksOf(tx)
		if err != nil {
			return err
		}
		var dead []heldSegment
		kept := make(map[string]*packState)
		for key, b := range tx.Scan(bucketPacks, nil) {
			p := new(packState)
			if err := protocol.Decode("pack", b, p); err != nil {
				return err
			}
			var held []heldSegment
			for _, h := range p.Held {
				if nets[h.Group.Prefix()] != network || live(h.Group, h.Segment) {
					held = append(held, h)
				} else {
					dead = append(dead, h)
				}
			}
			if len(held) < len(p.Held) {
				p.Held = held
				kept[string(key)] = p
			}
		}
		for key, p := range kept {
			if err := rewritePack(tx, []byte(key), p); err != nil {
				return err
			}
		}
		if d.Subjects, err = unneeded(tx, subjectsOf(dead)); err != nil || len(d.Subjects) == 0 {
			return err
		}
		return putDelete(tx, id[:], d)
	})
	if err != nil {
		return nil, fmt.Errorf("note a deletion: %w", err)
	}
	return d, nil
}

func rewritePack(tx *kv.Tx, key []byte, p *packState) error {
	if len(p.Held) == 0 {
		return tx.Delete(bucketPacks, key)
	}
	b, err := protocol.Encode(p)
	if err != nil {
		return err
	}
	return tx.Put(bucketPacks, key, b)
}
