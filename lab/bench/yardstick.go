//go:build linux

package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/zeebo/blake3"
	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/erasure"
)

// yardstick does the bare work of size bytes segment by segment, as put and get
// must, each stage through the library that they use. It is taken beside each
// measurement: what a machine does in a second changes within a minute.
type yardstick struct {
	settings
	link *tlsLink
	dir  string
	puts int // so far; each writes logs of its own
}

func newYardstick(s settings) (*yardstick, error) {
	link, err := newTLSLink()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, "cairn-yardstick-")
	if err != nil {
		link.close()
		return nil, err
	}
	return &yardstick{settings: s, link: link, dir: dir}, nil
}

func (w *yardstick) close() {
	w.link.close()
	_ = os.RemoveAll(w.dir)
}

// cost returns what one of its works takes, in CPU seconds for each GiB of user
// data.
func (w *yardstick) cost(work func() error) (float64, error) {
	before := ownCPU()
	if err := work(); err != nil {
		return 0, fmt.Errorf("yardstick: %w", err)
	}
	return perGiB(ownCPU()-before, w.size), nil
}

// blank returns n shards of size bytes, 64 bytes apart: those of a power of two
// would fall into the same cache sets.
func blank(n int, size int64) [][]byte {
	mem, out := make([]byte, int64(n)*(size+64)), make([][]byte, n)
	for i := range out {
		out[i] = mem[int64(i)*(size+64):][:size:size]
	}
	return out
}

// put seals each byte once, codes it, hashes the n shards, copies them over
// TLS, hashes each again where it arrives and appends it to a log that is
// synced. Its logs are new files, and those of the puts before stay: nodes, too,
// write to memory or disk that nobody had just before.
func (w *yardstick) put() error {
	code, err := erasure.New(w.profile.K, w.profile.N)
	if err != nil {
		return err
	}
	segment := protocol.SegmentSize(w.profile.K)
	shard := protocol.ShardSize(segment, w.profile.K)
	shards := blank(w.profile.N, shard)
	plain := make([]byte, seal.PlainCapacity(segment))
	w.puts++
	logs, err := w.openLogs()
	if err != nil {
		return err
	}
	defer closeAll(logs)
	for done := int64(0); done < w.size; done += segment {
		if err := sealInto(plain, shards[:w.profile.K]); err != nil {
			return err
		}
		if err := code.Encode(shards); err != nil {
			return err
		}
		hashAll(shards)
		if err := w.store(shards, logs); err != nil {
			return err
		}
	}
	return nil
}

// store carries each shard over TLS, and hashes and appends it at the other
// end, all slots at once, as a put does.
func (w *yardstick) store(shards [][]byte, logs []*os.File) error {
	var all errgroup.Group
	for i, s := range shards {
		all.Go(func() error {
			if err := w.link.copy(i, s); err != nil {
				return err
			}
			protocol.Outboard(s) // its root, and what slices are cut by
			if _, err := logs[i].Write(s); err != nil {
				return err
			}
			return datasync(logs[i])
		})
	}
	return all.Wait()
}

// get reads each byte once from a log, copies it over TLS, hashes and opens it.
func (w *yardstick) get() error {
	segment := protocol.SegmentSize(w.profile.K)
	shard := protocol.ShardSize(segment, w.profile.K)
	logs, err := w.openLogs()
	if err != nil {
		return err
	}
	defer closeAll(logs)
	shards := blank(w.profile.K, shard)
	sealed, key, err := sealedSegment(segment)
	if err != nil {
		return err
	}
	for done := int64(0); done < w.size; done += segment {
		var all errgroup.Group
		for i, s := range shards {
			all.Go(func() error {
				if _, err := logs[i].ReadAt(s, done/segment*shard); err != nil && err != io.EOF {
					return err
				}
				return w.link.copy(i, s)
			})
		}
		if err := all.Wait(); err != nil {
			return err
		}
		hashAll(shards)
		if _, err := seal.Open(key, make([]byte, 0, segment), sealed); err != nil {
			return err
		}
	}
	return nil
}

// openLogs opens the logs of the last put.
func (w *yardstick) openLogs() ([]*os.File, error) {
	var logs []*os.File
	for i := range w.profile.N {
		f, err := os.OpenFile(filepath.Join(w.dir, fmt.Sprintf("%d-%d", w.puts, i)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			closeAll(logs)
			return nil, err
		}
		logs = append(logs, f)
	}
	return logs, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

func hashAll(shards [][]byte) {
	for _, s := range shards {
		blake3.Sum256(s)
	}
}

// sealInto seals plain as one extent and lays it over the data shards.
func sealInto(plain []byte, data [][]byte) error {
	s, err := seal.NewSealer(rand.Reader)
	if err != nil {
		return err
	}
	part := make([]byte, 0, seal.PartSize+seal.Overhead)
	at := 0
	for off := 0; off < len(plain); off += seal.PartSize {
		end := min(off+seal.PartSize, len(plain))
		out, err := s.SealPart(part[:0], plain[off:end], end == len(plain))
		if err != nil {
			return err
		}
		for len(out) > 0 && at < len(data)*len(data[0]) {
			n := copy(data[at/len(data[0])][at%len(data[0]):], out)
			at, out = at+n, out[n:]
		}
	}
	return nil
}

func sealedSegment(size int64) ([]byte, seal.Key, error) {
	s, err := seal.NewSealer(rand.Reader)
	if err != nil {
		return nil, seal.Key{}, err
	}
	plain := make([]byte, seal.PlainCapacity(size))
	commitment := s.Commitment()
	out := append(make([]byte, 0, size), commitment[:]...)
	for off := 0; off < len(plain); off += seal.PartSize {
		end := min(off+seal.PartSize, len(plain))
		if out, err = s.SealPart(out, plain[off:end], end == len(plain)); err != nil {
			return nil, seal.Key{}, err
		}
	}
	return out, s.Key(), nil
}
