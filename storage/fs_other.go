//go:build !linux

package storage

// WriteVec implements File.
func (f osFile) WriteVec(bufs [][]byte, off int64) error {
	for _, b := range bufs {
		n, err := f.WriteAt(b, off)
		if err != nil {
			return kindOf(err)
		}
		off += int64(n)
	}
	return nil
}

// Sync implements File. On macOS it reaches the platter, not just the drive.
func (f osFile) Sync() error { return kindOf(f.File.Sync()) }

// Reserve implements File. It does nothing: whatever these systems offer would
// change the file's length.
func (f osFile) Reserve(_, _ int64) {}
