package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	logSuffix = ".log"
	logDigits = 10

	// maxOpenLogs bounds how many logs are kept open while nobody reads them.
	maxOpenLogs = 128
)

// errNoLog says that a log was removed: its live records lie elsewhere now.
var errNoLog = errors.New("log was removed")

// logSet hands out the files of the logs, which readers share.
type logSet struct {
	fs  FS
	dir string

	mu   sync.Mutex // guards what follows
	gone *sync.Cond // a removed log has lost its last reader
	open map[uint64]*logFile
	dead map[uint64]bool // removed, or being removed
	quit bool            // nobody waits for readers any more
	tick int64
}

// logFile is one log, open as long as somebody uses it and a while longer.
type logFile struct {
	File
	set  *logSet
	id   uint64
	refs int
	used int64 // tick of the last use
}

func newLogSet(fsys FS, dir string) *logSet {
	s := &logSet{fs: fsys, dir: dir, open: make(map[uint64]*logFile), dead: make(map[uint64]bool)}
	s.gone = sync.NewCond(&s.mu)
	return s
}

func (s *logSet) name(id uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%0*d%s", logDigits, id, logSuffix))
}

// logNumbers returns the numbers of the logs in a folder in ascending order.
func logNumbers(fsys FS, dir string) ([]uint64, error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	var ids []uint64
	for _, n := range names {
		if id, ok := logNumber(n); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// logNumber returns the number of the log that has this file name, and whether it
// is the name of a log.
func logNumber(name string) (id uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, logSuffix)
	if !ok || len(digits) != logDigits {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, err == nil
}

// use opens a log. The caller calls done when it no longer needs it.
func (s *logSet) use(id uint64) (*logFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead[id] {
		return nil, errNoLog
	}
	l := s.open[id]
	if l == nil {
		f, err := s.fs.Open(s.name(id))
		if err != nil {
			return nil, fmt.Errorf("open log %d: %w", id, err)
		}
		s.trim()
		l = &logFile{File: f, set: s, id: id}
		s.open[id] = l
	}
	l.refs++
	s.tick++
	l.used = s.tick
	return l, nil
}

// done ends one use.
func (l *logFile) done() {
	l.set.mu.Lock()
	defer l.set.mu.Unlock()
	l.refs--
	if l.refs == 0 && l.set.dead[l.id] {
		l.set.gone.Broadcast()
	}
}

// trim closes the idle log that was used longest ago, if too many are open.
func (s *logSet) trim() {
	if len(s.open) < maxOpenLogs {
		return
	}
	var oldest *logFile
	for _, l := range s.open {
		if l.refs == 0 && (oldest == nil || l.used < oldest.used) {
			oldest = l
		}
	}
	if oldest != nil {
		delete(s.open, oldest.id)
		_ = oldest.Close() // nothing was written through it since its last sync
	}
}

// remove deletes a log once its last reader has left. From the call on, nobody
// can open it any more. ErrFailed says that the removal could not be made
// durable.
func (s *logSet) remove(id uint64) error {
	s.mu.Lock()
	s.dead[id] = true
	l := s.open[id]
	for l != nil && l.refs > 0 && !s.quit {
		s.gone.Wait()
	}
	if s.quit {
		s.mu.Unlock()
		return fmt.Errorf("remove log %d: %w", id, ErrClosed)
	}
	delete(s.open, id)
	s.mu.Unlock()
	var err error
	if l != nil {
		err = l.Close()
	}
	if err == nil {
		err = s.fs.Remove(s.name(id))
	}
	if err == nil {
		if err = s.fs.SyncDir(s.dir); err != nil {
			err = fmt.Errorf("%w: %w", ErrFailed, err)
		}
	}
	if err != nil {
		return fmt.Errorf("remove log %d: %w", id, err)
	}
	return nil
}

// newest returns the highest number of the logs that are open.
func (s *logSet) newest() (id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.open {
		id = max(id, other)
	}
	return id
}

// leave stops waiting for readers.
func (s *logSet) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quit = true
	s.gone.Broadcast()
}

// close closes all logs; readers that are still there get errors.
func (s *logSet) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for id, l := range s.open {
		errs = append(errs, l.Close())
		delete(s.open, id)
	}
	return errors.Join(errs...)
}
