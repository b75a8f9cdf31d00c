package storage

import "fmt"

// fail makes the store acknowledge nothing any more.
func (d *Disk) fail(cause error) error {
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	if d.failed == nil {
		d.failed = fmt.Errorf("%w: %w", ErrFailed, cause)
		d.cfg.Log.Error("store failed; nothing is stored till it is opened again", "dir", d.cfg.Dir, "err", cause)
	}
	return d.failed
}

// spoil is fail for an index that cannot be read: it is removed on Close, and
// made again by the next Open.
func (d *Disk) spoil(cause error) error {
	d.stateMu.Lock()
	d.spoilt = true
	d.stateMu.Unlock()
	return d.fail(fmt.Errorf("index: %w", cause))
}

func (d *Disk) failure() error {
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	return d.failed
}

// suspend notes whether the sentinel is missing.
func (d *Disk) suspend(err error) {
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	if (err == nil) != (d.missing == nil) {
		d.cfg.Log.Warn("disk came or went", "dir", d.cfg.Dir, "err", err)
	}
	d.missing = err
}

func (d *Disk) suspended() error {
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	return d.missing
}
