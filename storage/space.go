package storage

import (
	"sync/atomic"
	"time"
)

const (
	// spaceAge is how old the last figure of the file system's free bytes may
	// get.
	spaceAge = time.Second

	defaultReserve  = 1 << 30 // bytes
	reserveFraction = 20      // 1/reserveFraction of the file system, where that is less

	// roomFraction: 1/roomFraction of the quota, at most maxRoom bytes, is kept
	// free for copies of live records while the space of dead ones is reclaimed.
	roomFraction = 16
	maxRoom      = 2 << 30

	// A log grows to 1/logFraction of the quota, within these bounds in bytes.
	logFraction = 32
	minLog      = 64 << 10
	maxLog      = 1 << 30
)

// space knows how much the file system lets this store write.
type space struct {
	cfg     *Config
	reserve int64
	free    atomic.Int64 // beyond the reserve
	asked   atomic.Int64 // when, in nanoseconds since 1970
}

func newSpace(cfg *Config) (*space, error) {
	s := &space{cfg: cfg, reserve: max(0, cfg.Reserve)}
	_, total, err := cfg.FS.Space(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if cfg.Reserve == 0 {
		s.reserve = min(defaultReserve, total/reserveFraction)
	}
	return s, s.ask()
}

// ask asks the file system anew.
func (s *space) ask() error {
	free, _, err := s.cfg.FS.Space(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.asked.Store(s.cfg.Now().UnixNano())
	s.free.Store(free - s.reserve)
	return nil
}

// fresh asks again if the last answer is too old.
func (s *space) fresh() error {
	if age := s.cfg.Now().UnixNano() - s.asked.Load(); age >= 0 && age < int64(spaceAge) {
		return nil
	}
	return s.ask()
}

// left returns how many bytes can be written; below 0 when others have taken what
// should stay free.
func (s *space) left() int64 { return s.free.Load() }

// took notes what was written since the file system was asked.
func (s *space) took(n int64) { s.free.Add(-n) }

// sizes returns how many bytes live records, and logs as a whole, may take under
// a quota (0: no limit), and how long a log should get.
func sizes(quota int64) (limit, log int64) {
	if quota <= 0 {
		return 0, maxLog
	}
	return quota - min(quota/roomFraction, maxRoom), min(max(quota/logFraction, minLog), maxLog)
}

// admit refuses n more bytes in the batch if they do not fit.
func (d *Disk) admit(b *batch, n int64) error {
	n += b.size
	x := d.index
	x.mu.RLock()
	defer x.mu.RUnlock()
	if d.limit > 0 && x.live+n > d.limit {
		return ErrFull
	}
	if d.limit > 0 && x.size+n > d.limit || d.space.left() < n {
		return errRoom
	}
	return nil
}
