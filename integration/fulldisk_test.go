//go:build linux

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

// smallDisk mounts a file system of so many bytes, or skips where this user
// may not mount one.
func smallDisk(t *testing.T, bytes int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	err := syscall.Mount("cairn-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skip("only root may mount a small disk: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// readSoFar returns how far a process has read a file, or -1.
func readSoFar(pid int, path string) int64 {
	list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range list {
		if to, err := os.Readlink(fd); err != nil || to != path {
			continue
		}
		info := string(procRead(pid, "fdinfo/"+filepath.Base(fd)))
		for line := range strings.Lines(info) {
			if at, ok := strings.CutPrefix(line, "pos:"); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(at), 10, 64)
				if err == nil {
					return n
				}
			}
		}
	}
	return -1
}

// TestSourceChangesUnderPut has a file shrink and grow while it is read: the
// put fails by a sentence and leaves what was stored before.
func TestSourceChangesUnderPut(t *testing.T) {
	slow(t)
	w := newTown(t, 3, launch.Config{})
	a := w.newcomer("a")
	path, sum := w.file("before", 1<<20)
	before := a.put(path)
	const size = 96 << 20 // what grows is read to its end
	for name, becomes := range map[string]int64{"shrinks": 10 << 20, "grows": size + 4096} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(w.Dir(), name)
			w.must(os.WriteFile(path, nil, 0o600))
			w.must(os.Truncate(path, size)) // zeros, without a disk full of them
			r := a.start(nil, "put", path)
			w.await("put reads its source", func() bool { return readSoFar(r.Process.Pid, path) > 0 || !r.running() })
			at := readSoFar(r.Process.Pid, path)
			w.must(os.Truncate(path, becomes))
			out := a.end(r)
			if at < 0 || at >= size {
				t.Fatalf("put had read %d of %d bytes: the test tests nothing", at, size)
			}
			if out.Code != 1 || !contains(out.Stderr, "the source changed while it was read") || len(out.Stdout) > 0 {
				t.Errorf("changed after %d bytes: exit status %d: %s", at, out.Code, out.Stderr)
			}
		})
	}
	w.newcomer("b").get(before.Link, sum)
}

// TestDiskFullUnderGet makes a get run out of disk: it says so in a sentence,
// leaves no file, and keeps what came where it says; and cat into a full device
// fails, not silently.
func TestDiskFullUnderGet(t *testing.T) {
	w := newTown(t, 3, launch.Config{})
	a := w.newcomer("a")
	path, _ := w.file("x", 8<<20)
	link := a.put(path).Link
	t.Run("cat", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		w.must(err)
		defer func() { _ = full.Close() }()
		cmd := a.Command(a.ctx, a.home, a.args([]string{"cat", "-"})...)
		var log strings.Builder
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(link), full, &log
		_ = cmd.Run() // its status is looked at
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(log.String(), "no space left") {
			t.Errorf("exit status %d: %s", cmd.ProcessState.ExitCode(), log.String())
		}
	})
	t.Run("get", func(t *testing.T) {
		dir := smallDisk(t, 2<<20)
		b := w.newcomer("b")
		b.fails(1, "no space left", link, "get", "-", filepath.Join(dir, "x"))
		b.fails(1, "is kept in", link, "get", "-", filepath.Join(dir, "x"))
		if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
			t.Error("half a file has its name")
		}
	})
}

// TestDiskFullUnderNode gives a node a disk that something else fills: the node
// goes on serving what it has, a put is told so instead of waiting for ever, and
// once there is room again, the node takes what comes.
func TestDiskFullUnderNode(t *testing.T) {
	slow(t)
	t.Parallel() // it waits most of its time
	disk := smallDisk(t, 256<<20)
	w := newTown(t, 2, launch.Config{})
	small := w.addNodes(1, "--donate", "200MB:"+disk)[0]
	w.settle(3)
	a := w.newcomer("a")
	path, sum := w.file("before", 4<<20)
	before := a.put(path)
	if before.N != 3 || before.Stored != 3 {
		t.Fatalf("put: %+v", before)
	}
	if logs, err := filepath.Glob(filepath.Join(disk, "logs", "*")); len(logs) == 0 || err != nil {
		t.Fatalf("the node keeps nothing on the small disk: the test tests nothing: %v", err)
	}
	hog, err := os.Create(filepath.Join(disk, "hog"))
	w.must(err)
	page := make([]byte, 1<<20)
	for err == nil {
		_, err = hog.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	w.must(hog.Close())
	var acknowledged []putResult
	for i := range 6 { // enough to use up the space set aside for the log
		more, _ := w.file(fmt.Sprintf("more-%d", i), 8<<20)
		out := a.run("", "put", more, "--wait", "1s", "--json")
		var res putResult
		switch {
		case out.Code == 0:
			w.must(json.Unmarshal(out.Stdout, &res))
			acknowledged = append(acknowledged, res)
			t.Logf("put %d with one disk full: stored %d of %d", i, res.Stored, res.N)
		case out.Code != 4:
			t.Errorf("put %d with one disk full: exit status %d: %s", i, out.Code, out.Stderr)
		default:
			t.Logf("put %d with one disk full: %s", i, lastLine(out.Stderr))
		}
	}
	w.await("the node says that it has no room", func() bool { return w.status(small).Free == 0 })
	last, _ := w.file("last", 8<<20)
	res := a.put(last) // two nodes with room: what these allow, without waiting for the third
	if res.N != 2 || res.Stored != 2 || res.Safe {
		t.Errorf("put with two of three disks: %+v", res)
	}
	if !small.Running() {
		t.Error("the node whose disk is full has ended")
	}
	var h healthResult
	w.newcomer("b").ok(&h, before.Link+"\n", "health", "-")
	if h.Reachable != 3 {
		t.Errorf("of what was stored before, %d of 3 shards are proved", h.Reachable)
	}
	w.newcomer("c").get(before.Link, sum)
	w.must(os.Remove(hog.Name()))
	w.await("the node says that it has room again", func() bool { return w.status(small).Free > 100<<20 })
	again, _ := w.file("again", 8<<20)
	if res = a.put(again, "--profile", "1/2/3"); res.Stored != 3 {
		t.Errorf("put when there is room again: %+v", res)
	}
	acknowledged = append(acknowledged, res)
	w.must(small.Kill())
	w.must(small.Restart(w.ctx))
	w.served("after a full disk and SIGKILL", small, append(acknowledged, before))
}

func lastLine(b []byte) string {
	text := strings.TrimSpace(string(b))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
