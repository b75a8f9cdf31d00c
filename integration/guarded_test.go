//go:build unix

package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
)

// TestGuardedProcess checks what TestPrivate cannot provoke: a process makes
// no core file, and would show no stack should it panic; what a home holds is
// its user's only; and a link in a wrong place is repeated nowhere.
func TestGuardedProcess(t *testing.T) {
	w := newTown(t, 3, launch.Config{})
	a := w.newcomer("a")
	cmd := a.Command(a.ctx, a.home, a.args([]string{"put", "-"})...)
	stdin, err := cmd.StdinPipe()
	w.must(err)
	stderr, err := cmd.StderrPipe()
	w.must(err)
	var link bytes.Buffer
	cmd.Stdout = &link
	w.must(cmd.Start())
	said := bufio.NewReader(stderr)
	_, err = said.ReadString('\n') // it has made the home's secret: it has started
	w.must(err)
	w.checkGuarded(cmd.Process.Pid)
	_, err = stdin.Write([]byte("hello"))
	w.must(err)
	w.must(stdin.Close())
	_, _ = said.WriteTo(&bytes.Buffer{})
	w.must(cmd.Wait())
	w.checkModes(a.home)

	text := strings.TrimSpace(link.String())
	secret := strings.TrimPrefix(text, protocol.LinkPrefix)[:40]
	for _, args := range [][]string{
		{text}, {"get", text, "x", "y"}, {"put", text}, {"join", text}, {"get", "--" + text}, {"put", "--profile", text, w.logPath()},
		{"--log-level", text, "version"}, {"node", "--donate", text}, {"network", "--bootstrap", text}, {"network", text},
		{"uploads", "--network", text}, {"help", text}, {"get", text + "x"}, {"--json", text},
	} {
		r := a.run("", args...)
		if r.Code == 0 || contains(append(r.Stderr, r.Stdout...), secret) {
			t.Errorf("cairn %.12s: exit status %d, and the link may be repeated", strings.Join(args, " "), r.Code)
		}
	}
}

// logPath is a file that is there.
func (w *town) logPath() string { return w.Nodes()[0].LogPath() }

func (w *town) checkModes(home string) {
	w.t.Helper()
	w.must(filepath.WalkDir(home, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			w.t.Errorf("%s is open to others: %s", path, info.Mode())
		}
		return err
	}))
}

// checkGuarded checks that a process makes no core file and, should it panic,
// shows no stack.
func (w *town) checkGuarded(pid int) {
	w.t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	w.must(err)
	if !bytes.Contains(environ, []byte("GOTRACEBACK=none")) {
		w.t.Error("a panic would show stacks")
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	w.must(err)
	for line := range strings.Lines(string(limits)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (f[4] != "0" || f[5] != "0") {
			w.t.Errorf("core files are on: %s", line)
		}
	}
}
