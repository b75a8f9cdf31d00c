package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// maxSocketPath is the longest path, in bytes, that every platform takes for a
// socket: macOS has room for 104 with the closing zero, Linux for 108.
const maxSocketPath = 103

// errForeignDir says that the folder for sockets with long names is not this user's
// alone.
var errForeignDir = errors.New("not a folder of this user's alone")

// address returns where the socket of path really lies: at path, or, where that is
// too long for a socket, under a name made from it in a folder of this user's in
// the system's temporary folder. Both sides compute the same.
func address(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("control socket %s: %w", path, err)
	}
	if len(abs) <= maxSocketPath {
		return abs, nil
	}
	sum := sha256.Sum256([]byte(abs))
	name := hex.EncodeToString(sum[:12]) + ".sock"
	return filepath.Join(os.TempDir(), "cairn-"+strconv.Itoa(os.Getuid()), name), nil
}

// checkDir makes the folder of a socket, or checks that one in the temporary
// folder, where anybody may make folders, belongs to this user alone.
func checkDir(path, addr string) error {
	dir := filepath.Dir(addr)
	if abs, err := filepath.Abs(path); err == nil && filepath.Dir(abs) == dir {
		return os.MkdirAll(dir, 0o700)
	}
	err := os.Mkdir(dir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || !ownedByUs(info) {
		return &fs.PathError{Op: "use", Path: dir, Err: errForeignDir}
	}
	return nil
}
