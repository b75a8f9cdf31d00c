package node

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

const (
	scrubVersion = 1
	// maxDamaged bounds the damaged shards that are remembered: a disk with
	// more is to be replaced.
	maxDamaged = 4096
)

// scrubPlace is where a pass stands: at which shard of which group it goes on.
type scrubPlace struct {
	Begun    int64         `cbor:"begun"`    // Unix seconds; 0: no pass is under way
	Finished int64         `cbor:"finished"` // of the last whole one; 0: none yet
	Group    protocol.Hash `cbor:"group"`
	Segment  protocol.Hash `cbor:"segment"`
	Slot     int           `cbor:"slot"`
	Shards   int           `cbor:"shards"`
	Bytes    int64         `cbor:"bytes"`
}

// passed reports whether the pass has read a shard of the place's group.
func (p *scrubPlace) passed(key storage.ShardKey) bool {
	c := bytes.Compare(key.Segment[:], p.Segment[:])
	return c < 0 || c == 0 && int(key.Slot) < p.Slot
}

// scrubNote is what is kept of a pass over a restart.
type scrubNote struct {
	V       int           `cbor:"v"`
	At      scrubPlace    `cbor:"at"`
	Damaged []damagedNote `cbor:"damaged"`
}

type damagedNote struct {
	Group   protocol.Hash `cbor:"group"`
	Segment protocol.Hash `cbor:"segment"`
	Slot    int           `cbor:"slot"`
}

// place returns where the pass stands.
func (s *scrubber) place() scrubPlace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// enter moves the place to a group's first shard.
func (s *scrubber) enter(id protocol.GroupID) scrubPlace {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at.Group, s.at.Segment, s.at.Slot = protocol.Hash(id), protocol.Hash{}, 0
	return s.at
}

// advance moves the place past a shard.
func (s *scrubber) advance(id protocol.GroupID, sh storage.ShardInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at.Group, s.at.Segment, s.at.Slot = protocol.Hash(id), protocol.Hash(sh.Key.Segment), int(sh.Key.Slot)+1
	s.at.Shards++
	s.at.Bytes += sh.Size
}

// noteDamage reports whether a shard's damage is news.
func (s *scrubber) noteDamage(key storage.ShardKey, id protocol.GroupID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.damaged[key]; known || len(s.damaged) >= maxDamaged {
		return false
	}
	s.damaged[key] = id
	s.dirty = true
	return true
}

// forgetDamage reports whether a shard was known to be damaged.
func (s *scrubber) forgetDamage(key storage.ShardKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.damaged[key]
	delete(s.damaged, key)
	s.dirty = s.dirty || known
	return known
}

// isDamaged reports whether a shard is known to be damaged.
func (s *scrubber) isDamaged(key storage.ShardKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.damaged[key]
	return known
}

// stale reports whether it is time to save.
func (s *scrubber) stale(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := now.Sub(s.saved)
	return s.dirty || age >= scrubSave || age < 0
}

// save keeps the place over a restart. once is held.
func (s *scrubber) save(now time.Time) error {
	s.mu.Lock()
	n := scrubNote{V: scrubVersion, At: s.at, Damaged: []damagedNote{}}
	for key, g := range s.damaged {
		n.Damaged = append(n.Damaged, damagedNote{protocol.Hash(g), protocol.Hash(key.Segment), int(key.Slot)})
	}
	s.dirty, s.saved = false, now
	s.mu.Unlock()
	if s.cfg.Save == nil {
		return nil
	}
	slices.SortFunc(n.Damaged, func(a, b damagedNote) int {
		return cmp.Or(protocol.CompareIDs(a.Segment, b.Segment), a.Slot-b.Slot)
	})
	b, err := protocol.Encode(n)
	if err == nil {
		err = s.cfg.Save(b)
	}
	if err != nil {
		return fmt.Errorf("save the place of the scrub: %w", err)
	}
	return nil
}

// load goes on where an earlier run was. After an error a pass begins anew.
func (s *scrubber) load() error {
	if s.cfg.Load == nil {
		return nil
	}
	b, err := s.cfg.Load()
	if err != nil || len(b) == 0 {
		return err
	}
	n, err := parseScrubNote(b)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = n.At
	for _, d := range n.Damaged {
		s.damaged[storage.ShardKey{Segment: protocol.SegmentID(d.Segment), Slot: uint8(d.Slot)}] = protocol.GroupID(d.Group)
	}
	return nil
}

func parseScrubNote(b []byte) (*scrubNote, error) {
	n := new(scrubNote)
	if err := protocol.Decode("place of the scrub", b, n); err != nil {
		return nil, err
	}
	bad := n.V != scrubVersion || len(n.Damaged) > maxDamaged || n.At.Slot < 0 || n.At.Slot > protocol.MaxShards || n.At.Shards < 0 || n.At.Bytes < 0
	for _, d := range n.Damaged {
		bad = bad || d.Slot < 0 || d.Slot >= protocol.MaxShards
	}
	if bad {
		return nil, protocol.Refuse(protocol.CodeMalformed, "place of the scrub: a number is out of range")
	}
	return n, nil
}
