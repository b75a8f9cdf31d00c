package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func serve(t *testing.T, path string) *Server {
	t.Helper()
	s, err := Listen(path, map[string]Handler{
		"double": func(_ context.Context, args json.RawMessage) (any, error) {
			var n int
			if err := json.Unmarshal(args, &n); err != nil {
				return nil, err
			}
			return 2 * n, nil
		},
		"fail": func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("it is broken") },
		"huge": func(context.Context, json.RawMessage) (any, error) { return strings.Repeat("x", maxLine), nil },
		"wait": func(ctx context.Context, _ json.RawMessage) (any, error) { <-ctx.Done(); return nil, ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestCall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node", "control.sock")
	ctx := t.Context()
	if err := Call(ctx, path, "double", 1, nil); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("before Listen: %v", err)
	}
	s := serve(t, path)
	var got int
	if err := Call(ctx, path, "double", 21, &got); err != nil || got != 42 {
		t.Fatalf("double: %d, %v", got, err)
	}
	var said *RemoteError
	if err := Call(ctx, path, "fail", nil, nil); !errors.As(err, &said) || said.Text != "it is broken" {
		t.Fatalf("fail: %v", err)
	}
	for verb, want := range map[string]string{"nothing": "unknown", "huge": "bytes", "double": "JSON"} {
		if err := Call(ctx, path, verb, nil, nil); !errors.As(err, &said) || !strings.Contains(said.Text, want) {
			t.Errorf("%s: %v, want %q in it", verb, err, want)
		}
	}
	if _, err := Listen(path, nil); !errors.Is(err, ErrInUse) {
		t.Fatalf("second Listen: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Call(ctx, path, "double", 1, nil); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("after Close: %v", err)
	}
}

func TestSocketIsItsOwnersOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no unix permissions on windows")
	}
	path := filepath.Join(t.TempDir(), "control.sock")
	serve(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
}

func TestLongPath(t *testing.T) {
	t.Setenv("TMPDIR", shortTemp(t))
	path := filepath.Join(t.TempDir(), strings.Repeat("long/", 40), "control.sock")
	serve(t, path)
	var got int
	if err := Call(t.Context(), path, "double", 4, &got); err != nil || got != 8 {
		t.Fatalf("%d, %v", got, err)
	}
	if err := Call(t.Context(), path+"2", "double", 4, nil); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("another long path: %v", err)
	}
}

// shortTemp is a temporary folder whose name leaves room for a socket's.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestForeignTempDirIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no unix permissions on windows")
	}
	t.Setenv("TMPDIR", shortTemp(t))
	path := filepath.Join(t.TempDir(), strings.Repeat("long/", 40), "control.sock")
	addr, err := address(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(addr), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(addr), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, nil); !errors.Is(err, errForeignDir) {
		t.Fatalf("a folder open to all was used: %v", err)
	}
}

func TestDeadSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	serve(t, path)
	if err := Call(t.Context(), path, "double", 1, nil); err != nil {
		t.Fatal(err)
	}
}

func TestCallEndsWithContextAndServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	s := serve(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	var both sync.WaitGroup
	both.Go(func() {
		if err := Call(ctx, path, "wait", nil, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled call: %v", err)
		}
	})
	both.Go(func() {
		if err := Call(t.Context(), path, "wait", nil, nil); err == nil {
			t.Error("a call outlived its server")
		}
	})
	cancel()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	both.Wait()
}

func TestBadLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	serve(t, path)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("[1,2]\n\n{\"verb\":\"double\",\"args\":3}\n")); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(c)
	for _, want := range []string{"no JSON object", "no JSON object", `"result":6`} {
		if !in.Scan() || !strings.Contains(in.Text(), want) {
			t.Fatalf("%q, want %q in it", in.Text(), want)
		}
	}
	big, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = big.Close() }()
	_, _ = big.Write(make([]byte, maxLine+1))
	if n, err := big.Read(make([]byte, 1)); err == nil {
		t.Fatalf("an endless line was answered with %d bytes", n)
	}
}
