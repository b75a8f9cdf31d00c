//go:build unix

package integration

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
)

// secretsOf lists what must be found nowhere: content, name, the link's text
// and its read secret and the owner's secret, as bytes and as text.
func secretsOf(t *testing.T, link, home string, content []byte, name string) [][]byte {
	t.Helper()
	l, err := protocol.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(home, "owner", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(file))
	master, err := hex.DecodeString(words[len(words)-1])
	if err != nil || len(master) != 32 {
		t.Fatalf("the secret's file has another form: %v", err)
	}
	out := [][]byte{content, []byte(name), []byte(strings.TrimPrefix(link, protocol.LinkPrefix)[:60])}
	for _, raw := range [][]byte{l.Read[:], master} {
		decimal := strings.Trim(fmt.Sprint(raw), "[]")
		out = append(out, raw, []byte(hex.EncodeToString(raw)), []byte(base64.StdEncoding.EncodeToString(raw)[:40]), []byte(decimal))
	}
	return out
}

func searchBytes(t *testing.T, where string, b []byte, secrets [][]byte) {
	t.Helper()
	for i, s := range secrets {
		if bytes.Contains(b, s) {
			t.Errorf("%s holds secret %d", where, i)
		}
	}
}

// TestSecretsStayHome looks for content, name and keys wherever they could
// leak: the nodes' disks and debug logs, what commands say at debug level, in
// errors, and when SIGQUIT ends them.
func TestSecretsStayHome(t *testing.T) {
	w := newTown(t, 4, launch.Config{NodeArgs: []string{"--log-level", "debug"}})
	a := w.newcomer("a")
	content := []byte("content-marker-5f1cb0")
	const name = "name-marker-77aa01.txt"
	path := filepath.Join(w.Dir(), name)
	w.must(os.WriteFile(path, bytes.Repeat(content, 100_000), 0o600))
	put := a.run("", "put", path, "--log-level", "debug", "--hints")
	if put.Code != 0 {
		t.Fatalf("put: %s", put.Stderr)
	}
	link := strings.TrimSpace(string(put.Stdout))
	secrets := secretsOf(t, link, a.home, content, name)
	said := func(where string, r launch.Result, names [][]byte) {
		searchBytes(t, where, r.Stderr, names)
	}
	said("put", put, append(secrets[:1:1], secrets[2:]...)) // it may say the name
	b := w.newcomer("b")
	said("get", b.run(link, "get", "-", t.TempDir(), "--log-level", "debug", "--quiet"), secrets)
	said("health", b.run(link, "health", "-", "--log-level", "debug"), secrets)
	said("usage", b.run("", "get", link, "x", "y"), secrets)
	said("unknown command", b.run("", link), secrets)
	said("SIGQUIT", w.quit(b, link), secrets)

	w.must(filepath.WalkDir(w.Dir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.Contains(path, "node-") {
			return err
		}
		text, err := os.ReadFile(path)
		searchBytes(t, path, text, secrets)
		return err
	}))
	home := filepath.Join(a.home, "owner")
	w.must(filepath.WalkDir(a.home, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && strings.HasPrefix(path, home) {
			t.Errorf("%s is open to others: %s", path, info.Mode())
		}
		return err
	}))
}

// quit has a get hang on frozen holders, and ends it by SIGQUIT.
func (w *town) quit(p *person, link string) launch.Result {
	w.t.Helper()
	for _, n := range w.Nodes()[1:] {
		w.must(n.Freeze())
		defer func() { w.must(n.Thaw()) }()
	}
	cmd := p.Command(p.ctx, p.home, p.args([]string{"cat", "-", "--log-level", "debug"})...)
	cmd.Stdin = strings.NewReader(link)
	out, err := cmd.StderrPipe()
	w.must(err)
	w.must(cmd.Start())
	said := bufio.NewReader(out)
	first, err := said.ReadString('\n') // it is past its start
	w.must(err)
	w.checkGuarded(cmd.Process.Pid)
	w.must(cmd.Process.Signal(syscall.SIGQUIT))
	rest, err := io.ReadAll(said)
	w.must(err)
	_ = cmd.Wait()
	if bytes.Contains(rest, []byte("goroutine")) {
		w.t.Errorf("SIGQUIT shows stacks:\n%.500s", rest)
	}
	return launch.Result{Stderr: append([]byte(first), rest...), Code: cmd.ProcessState.ExitCode()}
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
