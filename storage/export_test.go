package storage

import "context"

// Quiesce wins back all the space that the compactor would, and returns when
// nothing is left to do.
func (d *Disk) Quiesce() error {
	for {
		if more, err := d.compactOnce(context.Background(), false); !more {
			return err
		}
	}
}

// Save brings the index up to date with the logs now.
func (d *Disk) Save() error { return d.index.save() }

// SaveOrFail is Save as the store itself calls it: the store fails where it must.
func (d *Disk) SaveOrFail() error { return d.save() }

// Logs returns how many logs there are.
func (d *Disk) Logs() int {
	d.index.mu.RLock()
	defer d.index.mu.RUnlock()
	return len(d.index.logs)
}

// Still stops a folder from looking for its disk on its own.
func (f *Folder) Still() {
	f.stop()
	f.loops.Wait()
}

// Look looks for the disk now. Call Still first.
func (f *Folder) Look() { f.look() }

// Queued returns how many requests wait for a batch.
func (d *Disk) Queued() int { return len(d.requests) }
