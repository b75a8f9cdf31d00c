package storage

import (
	"encoding/binary"
	"errors"
	"slices"
)

// ledger keeps the counts of a store, for each log and in all. It is guarded by
// the mu of the table that it is saved with.
type ledger struct {
	logs   map[uint64]*logCount
	dirty  map[uint64]bool // differ from what is written
	shards int
	groups int
	live   int64 // bytes in all logs
	size   int64
}

// logCount is the count of one log.
type logCount struct {
	size int64 // bytes up to which the log is in the index
	live int64 // bytes of records that count, kills among them
	// kills are the bytes of this log's kills, by the log of their victims. They
	// count as long as that log exists: a replay of it must find the victims
	// dead.
	kills map[uint64]int64
	// condemned logs hold nothing that counts and are being removed.
	condemned bool
}

func newLedger() *ledger {
	return &ledger{logs: make(map[uint64]*logCount), dirty: make(map[uint64]bool)}
}

// of returns the count of a log for the caller to change. It makes one if there
// is none.
func (l *ledger) of(log uint64) *logCount {
	l.dirty[log] = true
	c := l.logs[log]
	if c == nil {
		c = &logCount{kills: make(map[uint64]int64)}
		l.logs[log] = c
	}
	return c
}

// grow says that a log is in the index up to size.
func (l *ledger) grow(log uint64, size int64) {
	c := l.of(log)
	l.size += size - c.size
	c.size = size
}

// charge adds n bytes (or takes away -n) to what counts in a log.
func (l *ledger) charge(log uint64, n int64) {
	l.of(log).live += n
	l.live += n
}

// kill notes a kill record in a log. The record counts, unless its victim's log
// is gone, or is the same log and will go with it.
func (l *ledger) kill(log, victim uint64, n int64) {
	if l.logs[victim] == nil || log == victim {
		return
	}
	l.of(log).kills[victim] += n
	l.charge(log, n)
}

// drop forgets a log that was removed, and the kills whose victims lay in it.
func (l *ledger) drop(log uint64) {
	if c := l.logs[log]; c != nil {
		l.live -= c.live
		l.size -= c.size
		delete(l.logs, log)
		l.dirty[log] = true
	}
	for id, c := range l.logs {
		if n := c.kills[log]; n > 0 {
			delete(c.kills, log)
			l.dirty[id] = true
			l.charge(id, -n)
		}
	}
}

// needed returns how many bytes count in a log, not counting its kills: records
// that must be copied before the log can go.
func (c *logCount) needed() int64 {
	n := c.live
	for _, k := range c.kills {
		n -= k
	}
	return n
}

var errLogCount = errors.New("count of a log is malformed")

// encode writes a count as the index keeps it: size, live, condemned, then each
// log of victims with the bytes of the kills for it.
func (c *logCount) encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint64(nil, uint64(c.size))
	b = le.AppendUint64(b, uint64(c.live))
	condemned := byte(0)
	if c.condemned {
		condemned = 1
	}
	b = append(b, condemned)
	victims := make([]uint64, 0, len(c.kills))
	for v := range c.kills {
		victims = append(victims, v)
	}
	slices.Sort(victims)
	for _, v := range victims {
		b = le.AppendUint64(b, v)
		b = le.AppendUint64(b, uint64(c.kills[v]))
	}
	return b
}

func decodeLogCount(b []byte) (*logCount, error) {
	const fixed, each = 17, 16
	if len(b) < fixed || (len(b)-fixed)%each != 0 {
		return nil, errLogCount
	}
	le := binary.LittleEndian
	c := &logCount{
		size: int64(le.Uint64(b)), live: int64(le.Uint64(b[8:])), condemned: b[16] == 1,
		kills: make(map[uint64]int64),
	}
	for b = b[fixed:]; len(b) > 0; b = b[each:] {
		c.kills[le.Uint64(b)] = int64(le.Uint64(b[8:]))
	}
	return c, nil
}

// logKey is a log's key in the index; keys sort by the log's number.
func logKey(log uint64) []byte { return binary.BigEndian.AppendUint64(nil, log) }

// encode returns the rows of the counts that changed, to be saved.
func (l *ledger) encode(store []byte) map[string]map[string][]byte {
	if len(l.dirty) == 0 {
		return nil
	}
	logs := make(map[string][]byte, len(l.dirty))
	for id := range l.dirty {
		logs[string(logKey(id))] = nil
		if c := l.logs[id]; c != nil {
			logs[string(logKey(id))] = c.encode()
		}
	}
	clear(l.dirty)
	totals := binary.LittleEndian.AppendUint64(nil, uint64(l.shards))
	totals = binary.LittleEndian.AppendUint64(totals, uint64(l.groups))
	return map[string]map[string][]byte{
		bucketLogs: logs,
		bucketMeta: {metaFormat: []byte(indexFormat), metaStore: store, metaTotals: totals},
	}
}
