//go:build linux

package main

import (
	"crypto/rand"
	"errors"
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

// yardstick does the bare work that put and get must do on size bytes, segment by
// segment, each stage through the library that they use. It is taken next to each
// measurement, because what a machine does in a second changes within a minute.
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

// cost returns what one piece of its work takes, in CPU seconds for each GiB of
// user data.
func (w *yardstick) cost(work func() error) (float64, error) {
	before := ownCPU()
	if err := work(); err != nil {
		return 0, fmt.Errorf("yardstick: %w", err)
	}
	return perGiB(ownCPU()-before, w.size), nil
}

// blank returns n shards of size bytes, 64 bytes apart: shards at multiples of a
// power of two would fall into the same cache sets.
func blank(n int, size int64) [][]byte {
	mem, out := make([]byte, int64(n)*(size+64)), make([][]byte, n)
	for i := range out {
		out[i] = mem[int64(i)*(size+64):][:size:size]
	}
	return out
}

// put reads each byte from a pipe, seals it once, codes it, hashes the n shards,
// copies them over TLS, hashes each again where it arrives and appends it to a
// log that is synced. Its logs are new files, and those of earlier puts stay:
// nodes, too, write to memory or disk that was not in use just before.
func (w *yardstick) put() (err error) {
	code, err := erasure.New(w.profile.K, w.profile.N)
	if err != nil {
		return err
	}
	segment := protocol.SegmentSize(w.profile.K)
	shards := blank(w.profile.N, protocol.ShardSize(segment, w.profile.K))
	plain := make([]byte, seal.PlainCapacity(segment))
	w.puts++
	logs, err := w.openLogs()
	if err != nil {
		return err
	}
	defer closeAll(logs)
	in, fed, err := feed(w.segments() * int64(len(plain)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fed()) }()
	for range w.segments() {
		if _, err := io.ReadFull(in, plain); err != nil {
			return err
		}
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

// segments returns how many segments the file has.
func (w *yardstick) segments() int64 {
	segment := protocol.SegmentSize(w.profile.K)
	return (w.size + segment - 1) / segment
}

// store carries each shard over TLS, and hashes and appends it at the other end,
// all slots in parallel, as a put does.
func (w *yardstick) store(shards [][]byte, logs []*os.File) error {
	var all errgroup.Group
	for i, s := range shards {
		all.Go(func() error {
			if err := w.link.copy(i, s); err != nil {
				return err
			}
			protocol.Outboard(s) // its root, and the tree that slices are cut with
			if _, err := logs[i].Write(s); err != nil {
				return err
			}
			return datasync(logs[i])
		})
	}
	return all.Wait()
}

// get reads each byte once from a log, copies it over TLS, hashes and opens it, and
// writes it to a pipe.
func (w *yardstick) get() (err error) {
	segment := protocol.SegmentSize(w.profile.K)
	logs, err := w.openLogs()
	if err != nil {
		return err
	}
	defer closeAll(logs)
	shards := blank(w.profile.K, protocol.ShardSize(segment, w.profile.K))
	sealed, key, err := sealedSegment(segment)
	if err != nil {
		return err
	}
	out, drained, err := drain()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drained()) }()
	for i := range w.segments() {
		if err := w.load(shards, logs, i); err != nil {
			return err
		}
		hashAll(shards)
		if err := openTo(out, key, sealed); err != nil {
			return err
		}
	}
	return nil
}

// openTo opens an extent and writes it, part by part: each is still in the
// processor's cache then.
func openTo(out io.Writer, key seal.Key, sealed []byte) error {
	size, err := seal.PlainSize(int64(len(sealed)))
	if err != nil {
		return err
	}
	opener, err := seal.NewOpener(key, sealed[:seal.CommitmentSize], size)
	if err != nil {
		return err
	}
	part := make([]byte, 0, seal.PartSize)
	for i := range seal.Parts(size) {
		off, n := seal.PartRange(i, size)
		plain, err := opener.OpenPart(part, sealed[off:off+n], i)
		if err != nil {
			return err
		}
		if _, err := out.Write(plain); err != nil {
			return err
		}
	}
	return nil
}

// load reads the shards of a segment, all in parallel, and carries each over TLS.
func (w *yardstick) load(shards [][]byte, logs []*os.File, segment int64) error {
	var all errgroup.Group
	for i, s := range shards {
		all.Go(func() error {
			if _, err := logs[i].ReadAt(s, segment*int64(len(s))); err != nil && err != io.EOF {
				return err
			}
			return w.link.copy(i, s)
		})
	}
	return all.Wait()
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

// sealInto seals plain as one extent and spreads it over the data shards.
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
