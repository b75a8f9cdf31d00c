package storagetest

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// Survival says what a power failure leaves of what was not synced.
type Survival int

// What can survive.
const (
	Nothing    Survival = iota // only what was synced
	Everything                 // all of it happened to be written
	Something                  // any sectors of any write, any number of the first changes of names
	Unnamed                    // all bytes, but only names that were synced
	Unwritten                  // all names, but only bytes that were synced
)

// sector is what a disk writes whole or not at all, in bytes.
const sector = 512

// Restart returns the file system as it is after a power failure. rng decides
// what survives, where that is open.
func (f *FS) Restart(how Survival, rng *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	after := NewFS()
	after.room = f.room
	after.dirs = maps.Clone(f.dirs)
	names := f.names
	if how != Everything && how != Unwritten {
		names = maps.Clone(f.kept)
	}
	if how == Something {
		for _, dir := range sortedKeys(f.moves) {
			moves := f.moves[dir]
			for _, m := range moves[:rng.IntN(len(moves)+1)] {
				apply(names, m)
			}
		}
	}
	copies := make(map[*inode]*inode)
	for _, name := range sortedKeys(names) {
		i := names[name]
		if copies[i] == nil {
			b := i.after(how, rng)
			copies[i] = &inode{shown: b, disk: bytes.Clone(b)}
		}
		after.names[name] = copies[i]
	}
	after.kept = maps.Clone(after.names)
	return after
}

// Kill returns the file system as the next process finds it when this one is
// killed and the power stays on: it shows everything that was written, but what
// was not synced is still not on the disk.
func (f *FS) Kill() *FS {
	after := f.Clone()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	return after
}

// Clone returns a copy of the file system as it stands, without its locks.
func (f *FS) Clone() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	after := NewFS()
	after.room, after.dirs, after.ops = f.room, maps.Clone(f.dirs), f.ops
	copies := make(map[*inode]*inode)
	after.names, after.kept = cloned(f.names, copies), cloned(f.kept, copies)
	for dir, moves := range f.moves {
		for _, m := range moves {
			m.to = m.to.clone(copies)
			after.moves[dir] = append(after.moves[dir], m)
		}
	}
	return after
}

func cloned(names map[string]*inode, copies map[*inode]*inode) map[string]*inode {
	after := make(map[string]*inode, len(names))
	for n, i := range names {
		after[n] = i.clone(copies)
	}
	return after
}

// clone returns a file's copy, the same one each time.
func (i *inode) clone(copies map[*inode]*inode) *inode {
	if i != nil && copies[i] == nil {
		copies[i] = &inode{shown: bytes.Clone(i.shown), disk: bytes.Clone(i.disk), dirty: slices.Clone(i.dirty)}
	}
	return copies[i]
}

// after returns the bytes that survive.
func (i *inode) after(how Survival, rng *rand.Rand) []byte {
	switch how {
	case Nothing, Unwritten:
		return bytes.Clone(i.disk)
	case Everything, Unnamed:
		return bytes.Clone(i.shown)
	}
	b := bytes.Clone(i.disk)
	for _, c := range i.dirty {
		if c.cut {
			if rng.IntN(2) == 0 {
				b = c.to(b)
			}
			continue
		}
		for lo := 0; lo < len(c.data); {
			at := c.off + int64(lo)
			hi := min(len(c.data), lo+int(sector-at%sector))
			if rng.IntN(2) == 0 {
				b = change{off: at, data: c.data[lo:hi]}.to(b)
			}
			lo = hi
		}
	}
	return b
}

// sortedKeys makes a walk over a map the same each time.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
