package p2p

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

const (
	bookVersion  = 1
	maxBookFile  = 1 << 20 // bytes
	savedPeers   = 128     // the most recently spoken to
	saveFirst    = 2 * time.Second
	saveInterval = 30 * time.Second
)

// bookFile is the file's content. It is a cache: one that cannot be read is
// begun anew.
type bookFile struct {
	Version int         `json:"version"`
	Peers   []savedPeer `json:"peers"` // the most recently spoken to first
}

type savedPeer struct {
	ID    string   `json:"id"`
	Addrs []string `json:"addrs"`
	Sure  int      `json:"sure"` // how many of the first Addrs are more than hints
	Seen  int64    `json:"seen"` // Unix seconds
}

// Remembered returns the peers in a file that Config.Book named, the most
// recently spoken to first. A missing file holds none.
func Remembered(path string) ([]peer.AddrInfo, error) {
	b := newBook()
	if err := b.load(path); err != nil {
		return nil, err
	}
	var out []peer.AddrInfo
	for _, p := range b.peers() {
		out = append(out, peer.AddrInfo{ID: p, Addrs: b.addrs(p)})
	}
	return out, nil
}

// load fills the book from a file. A missing file is an empty book.
func (b *book) load(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read remembered peers: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	raw, err := io.ReadAll(io.LimitReader(f, maxBookFile))
	if err != nil {
		return fmt.Errorf("read remembered peers: %w", err)
	}
	return b.decode(raw)
}

// decode adds what a file held. Entries that make no sense are skipped.
func (b *book) decode(raw []byte) error {
	var file bookFile
	if err := json.Unmarshal(raw, &file); err != nil {
		return fmt.Errorf("read remembered peers: %w", err)
	}
	if file.Version != bookVersion {
		return fmt.Errorf("read remembered peers: version %d", file.Version)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range file.Peers[:min(len(file.Peers), savedPeers)] {
		id, err := peer.Decode(s.ID)
		if err != nil {
			continue
		}
		var sure, named []multiaddr.Multiaddr
		for i, text := range s.Addrs[:min(len(s.Addrs), maxContactAddrs)] {
			a, err := multiaddr.NewMultiaddr(text)
			switch {
			case err != nil:
			case i < s.Sure:
				sure = append(sure, a)
			default:
				named = append(named, a)
			}
		}
		c := b.get(id)
		c.serves, c.seen = true, time.Unix(s.Seen, 0)
		c.addresses(named, false)
		c.addresses(sure, true)
	}
	return nil
}

// encode renders the book and marks it as saved.
func (b *book) encode() ([]byte, error) {
	file := bookFile{Version: bookVersion, Peers: []savedPeer{}}
	ids := b.peers()
	b.mu.Lock()
	for _, id := range ids[:min(len(ids), savedPeers)] {
		c := b.known[id]
		if c == nil || len(c.addrs) == 0 {
			continue
		}
		s := savedPeer{ID: id.String(), Seen: c.seen.Unix()}
		var named []string
		for _, a := range c.addrs {
			if c.sure[string(a.Bytes())] {
				s.Addrs = append(s.Addrs, a.String())
			} else {
				named = append(named, a.String())
			}
		}
		s.Sure = len(s.Addrs)
		s.Addrs = append(s.Addrs, named...)
		file.Peers = append(file.Peers, s)
	}
	b.dirty = false
	b.mu.Unlock()
	return json.MarshalIndent(file, "", " ")
}

// save writes the book to a file if anything changed: to another name first,
// so that a crash leaves the old or the new one.
func (b *book) save(path string) error {
	b.mu.Lock()
	dirty := b.dirty
	b.mu.Unlock()
	if !dirty {
		return nil
	}
	raw, err := b.encode()
	if err == nil {
		err = writeAtomic(path, raw)
	}
	if err != nil {
		return fmt.Errorf("save remembered peers: %w", err)
	}
	return nil
}

func writeAtomic(path string, raw []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return nil
}
