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

	// Existing says that Dir held a store before. If there is none now, the disk
	// is missing, and no new store is made in its place.
	Existing bool

	// Quota is how many bytes the store may take on the disk, not counting its
	// index (about 300 bytes a shard). A sixteenth of it, but at most 2 GiB, is
	// kept as working room for reclaiming the space of deleted records. 0 means
	// no limit other than Reserve.
	Quota int64

	// Reserve is how many bytes to leave free on the file system. 0 means 1 GiB
	// or a twentieth of the file system, whichever is less; below 0 means none.
	Reserve int64

	// Index is the path of the index. The index may be deleted; Open makes it
	// again. "" means index.db in Dir.
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
