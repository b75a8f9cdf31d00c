package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/storage"
)

// What doctor demands.
const (
	leastHome      = 64 << 20 // bytes for journal and cache
	leastTemp      = 16 << 20 // bytes
	clientFiles    = 512      // descriptors: a client at work with a large group
	nodeFiles      = 8192     // a node's connections, each with one, and its logs
	nodeFilesLeast = 1024
)

// checkHome checks that this user can write to the home, or make it, that this cairn
// knows its version, and that nobody else can read its secrets.
func checkHome(h home) []check {
	const name = "home"
	v, err := h.version(homeVersion)
	switch {
	case errors.Is(err, errNewerHome):
		return []check{bad(name, "update this cairn, or use another home: --home DIR", "%v", err)}
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		return []check{bad(name, "restore it from a backup, or use another home: --home DIR", "%v", err)}
	}
	dir := existing(h.dir)
	if err := tryWrite(dir); err != nil {
		return []check{bad(name, "run this as the user whose home it is, or use another: --home DIR", "%s cannot be written to: %v", dir, cause(err))}
	}
	if free, _, err := (storage.OS{}).Space(dir); err == nil && free < leastHome {
		return []check{bad(name, "free some space on that disk", "%s: its disk has %s left", dir, bytesText(free))}
	}
	open := openSecrets(h)
	switch {
	case dir != h.dir:
		return []check{fine(name, "%s is not there yet: it is made on first use", h.dir)}
	case len(open) > 0:
		return []check{warning(name, "chmod 600 "+open[0], "%s, of version %d; others on this machine can read %s", h.dir, max(v, 1), open[0])}
	}
	return []check{fine(name, "%s, of version %d, writable", h.dir, max(v, 1))}
}

// checkOwner checks that the journal of what was put from this home is there and that
// the secret fits it. Where nothing was put, or a newer cairn wrote the home, there is
// nothing to check. It makes neither of the two files.
func checkOwner(h home) []check {
	if _, err := h.version(homeVersion); errors.Is(err, errNewerHome) {
		return nil
	}
	l, err := client.ReadListing(h.owner())
	c, ok := judgeOwner(l, err)
	if !ok {
		return nil
	}
	return []check{c}
}

func judgeOwner(l *client.Listing, err error) (c check, ok bool) {
	const name = "owner"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, false
	case errors.Is(err, client.ErrInUse):
		return fine(name, "another process works with this home's secret and journal"), true
	case errors.Is(err, client.ErrNoJournal):
		return bad(name, "restore it from a backup; \"cairn put\" begins a new one, which knows nothing of what was put before", "%v", err), true
	case err != nil:
		return bad(name, "restore secret and journal from one backup", "%v", err), true
	case l.Unfit != nil:
		return bad(name, "restore secret and journal from one backup; \"cairn uploads --links\" lists what was put even without the secret", "%v", l.Unfit), true
	}
	return fine(name, "secret and journal fit; %s listed", count(len(l.Uploads), "upload")), true
}

// openSecrets lists the secrets of a home that others may read.
func openSecrets(h home) (open []string) {
	if runtime.GOOS == "windows" {
		return nil // no such bits
	}
	for _, path := range []string{h.node(keyFile), h.owner("secret"), h.owner(journalFile)} {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			open = append(open, path)
		}
	}
	return open
}

// existing returns the folder itself or the nearest one above it that exists.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}

// tryWrite makes a file of a few bytes in a folder and takes it away again.
func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".cairn-doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("doctor\n")
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// checkTemp checks the system's temporary folder, which holds the demo and the
// sockets of homes with long names.
func checkTemp() check {
	const name = "temp"
	dir := os.TempDir()
	mend := "free some space there, or name another folder by $TMPDIR"
	if err := tryWrite(dir); err != nil {
		return warning(name, mend, "%s cannot be written to: %v", dir, cause(err))
	}
	if free, _, err := (storage.OS{}).Space(dir); err == nil && free < leastTemp {
		return warning(name, mend, "%s has %s left", dir, bytesText(free))
	}
	return fine(name, "%s, writable", dir)
}

// checkDescriptors compares how many descriptors may be open with what is needed:
// in the node's process where one runs, else in this one, which has the same limit
// as a node that is started here.
func checkDescriptors(situation string, f nodeFacts) check {
	limit, known := f.Descriptors, f.Descriptors > 0
	if situation != situationRunning {
		limit, known = descriptorLimit()
	}
	return judgeDescriptors(situation, limit, known)
}

func judgeDescriptors(situation string, limit uint64, known bool) check {
	const name = "descriptors"
	mend := "raise the limit: \"ulimit -n 65536\" in the shell, LimitNOFILE=65536 in a systemd unit"
	text := fmt.Sprintf("at most %d files and connections at once", limit)
	switch {
	case !known:
		return fine(name, "no limit that is known")
	case situation == situationClient && limit < clientFiles:
		return warning(name, mend, "%s: large transfers may fail", text)
	case situation != situationClient && limit < nodeFilesLeast:
		return bad(name, mend, "%s: a node needs %d to work, and %d to work well", text, nodeFilesLeast, nodeFiles)
	case situation != situationClient && limit < nodeFiles:
		return warning(name, mend, "%s: a node on a busy network wants %d", text, nodeFiles)
	case limit > 1<<30:
		return fine(name, "no limit on files and connections at once")
	}
	return fine(name, "%s", text)
}
