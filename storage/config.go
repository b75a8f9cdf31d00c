package storage

import (
	"log/slog"
	"path/filepath"
	"time"
)

// Config says how to open a store.
type Config struct {
	// Dir is the donated folder. It is made if it does not exist.
	Dir string

	// Owner is the identity of the node whose store this is, any text of one
	// line. A folder of another node is refused.
	Owner string

	// Existing says that a store was in Dir before: when it is not there now,
	// the disk is missing, and nothing new is made in its place.
	Existing bool

	// Quota is how many bytes the store may take on the disk, without its index
	// (about 300 bytes a shard). A part of it, a sixteenth up to 2 GiB, is room
	// in which deleted records' space is won back. 0 means no limit but Reserve.
	Quota int64

	// Reserve is how many bytes to leave free on the file system. 0 means 1 GiB
	// or a twentieth of the file system, whichever is less; below 0 means none.
	Reserve int64

	// Index is the path of the index, which can be deleted. "" means index.db
	// in Dir.
	Index string

	Log *slog.Logger     // nil: silent
	Now func() time.Time // nil: the system's clock
	FS  FS               // nil: the operating system's
}

// withDefaults fills in what may be left out.
func (c Config) withDefaults() Config {
	if c.Index == "" {
		c.Index = filepath.Join(c.Dir, indexName)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.FS == nil {
		c.FS = OS{}
	}
	return c
}
