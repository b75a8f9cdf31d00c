package kv

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func open(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(path, Options{LockTimeout: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func update(t *testing.T, db *DB, do func(*Tx) error) {
	t.Helper()
	if err := db.Update(do); err != nil {
		t.Fatal(err)
	}
}

func TestKeepsOverReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	db := open(t, path)
	update(t, db, func(tx *Tx) error { return tx.Put("b", []byte("k"), []byte("v")) })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, path)
	err := db.View(func(tx *Tx) error {
		if v, ok := tx.Get("b", []byte("k")); !ok || string(v) != "v" {
			t.Errorf("k = %q, %t", v, ok)
		}
		if v, ok := tx.Get("b", []byte("other")); ok {
			t.Errorf("a key never put has value %q", v)
		}
		if _, ok := tx.Get("other", []byte("k")); ok {
			t.Error("a bucket never made has a key")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(path + ".new*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEmptyValueIsThere(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "a.db"))
	update(t, db, func(tx *Tx) error { return tx.Put("b", []byte("k"), nil) })
	update(t, db, func(tx *Tx) error {
		if v, ok := tx.Get("b", []byte("k")); !ok || len(v) != 0 {
			t.Errorf("got %q, %t", v, ok)
		}
		return nil
	})
}

func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	open(t, path)
	if _, err := Open(path, Options{LockTimeout: 10 * time.Millisecond}); !errors.Is(err, ErrInUse) {
		t.Errorf("second Open: %v, want ErrInUse", err)
	}
}

func TestClosed(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "a.db"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.View(func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("view after close: %v, want ErrClosed", err)
	}
}

func TestErrorUndoesAll(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "a.db"))
	cause := errors.New("cause")
	err := db.Update(func(tx *Tx) error {
		if err := tx.Put("b", []byte("k"), []byte("v")); err != nil {
			return err
		}
		return cause
	})
	if !errors.Is(err, cause) {
		t.Errorf("update: %v, want its cause", err)
	}
	err = db.Update(func(tx *Tx) error {
		_ = tx.Put("b", []byte("k"), []byte("v"))
		_ = tx.Put("b", nil, []byte("v")) // fails; its error is ignored here
		return nil
	})
	if err == nil {
		t.Error("a failed Put that was ignored was committed")
	}
	func() {
		defer func() {
			if p := recover(); p != "own" {
				t.Errorf("recovered %v, want the function's own panic", p)
			}
		}()
		_ = db.Update(func(tx *Tx) error {
			_ = tx.Put("b", []byte("k"), []byte("v"))
			panic("own")
		})
	}()
	update(t, db, func(tx *Tx) error {
		if _, ok := tx.Get("b", []byte("k")); ok {
			t.Error("an undone put is there")
		}
		return nil
	})
}

// TestModel runs random changes and scans against a sorted map's answers.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	db := open(t, filepath.Join(t.TempDir(), "a.db"))
	model := map[string]string{}
	for range 50 {
		update(t, db, func(tx *Tx) error {
			for range rng.IntN(200) {
				k := fmt.Sprintf("%03d", rng.IntN(500))
				if rng.IntN(3) == 0 {
					delete(model, k)
					if err := tx.Delete("b", []byte(k)); err != nil {
						return err
					}
					continue
				}
				model[k] = fmt.Sprint(rng.Uint64())
				if err := tx.Put("b", []byte(k), []byte(model[k])); err != nil {
					return err
				}
			}
			return compare(tx, model, fmt.Sprint(rng.IntN(5)))
		})
	}
	if err := db.check(); err != nil {
		t.Error(err)
	}
}

func compare(tx *Tx, model map[string]string, prefix string) error {
	last, count := "", 0
	for k, v := range tx.Scan("b", []byte(prefix)) {
		if model[string(k)] != string(v) || string(k) <= last {
			return fmt.Errorf("scan %q: %q = %q after %q, want %q", prefix, k, v, last, model[string(k)])
		}
		last = string(k)
		count++
	}
	for k := range model {
		if k[:1] == prefix {
			count--
		}
	}
	if count != 0 {
		return fmt.Errorf("scan %q: %+d keys", prefix, count)
	}
	return nil
}

func TestScanWhileDeleting(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "a.db"))
	update(t, db, func(tx *Tx) error {
		for i := range 1000 {
			if err := tx.Put("b", fmt.Appendf(nil, "%04d", i), bytes.Repeat([]byte{1}, 100)); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, db, func(tx *Tx) error {
		seen := 0
		for k := range tx.Scan("b", nil) {
			if want := fmt.Sprintf("%04d", seen); string(k) != want {
				t.Fatalf("got %q, want %q", k, want)
			}
			seen++
			if err := tx.Delete("b", k); err != nil {
				return err
			}
		}
		if seen != 1000 {
			t.Errorf("saw %d of 1000 keys", seen)
		}
		for k := range tx.ScanFrom("b", nil, []byte("0")) {
			t.Errorf("%q is left", k)
		}
		return nil
	})
}

// TestDamage overwrites and cuts the file in many ways: the outcome is an error
// or an answer, never a panic or a fault.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	db := open(t, path)
	update(t, db, func(tx *Tx) error {
		for i := range 2000 {
			if err := tx.Put("b", fmt.Appendf(nil, "%05d", i), bytes.Repeat([]byte{7}, 50)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for page := 0; page*4096 < len(whole); page++ {
		for _, spoil := range []func([]byte) []byte{
			func(b []byte) []byte { clear(b[page*4096 : (page+1)*4096]); return b },
			func(b []byte) []byte {
				copy(b[page*4096:(page+1)*4096], bytes.Repeat([]byte{0xff}, 4096))
				return b
			},
			func(b []byte) []byte { return b[:page*4096+100] },
		} {
			if use(t, spoil(bytes.Clone(whole))) != nil {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("no damage was noticed at all")
	}
}

// use opens the bytes as a database and reads and writes it.
func use(t *testing.T, b []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spoilt.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := Open(path, Options{NoSync: true, LockTimeout: time.Second})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return errors.Join(
		db.check(),
		db.View(func(tx *Tx) error {
			for range tx.Scan("b", nil) {
				continue
			}
			return nil
		}),
		db.Update(func(tx *Tx) error { return tx.Put("b", []byte("00500"), []byte("x")) }),
	)
}

func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("text "), 4000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("open a text: %v, want ErrCorrupt", err)
	}
}

func TestEmptyFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

const childPath = "CAIRN_KV_CHILD"

// TestChildKeeper is the child process of TestKilled.
func TestChildKeeper(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("runs as a child of TestKilled")
	}
	db, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		err := db.Update(func(tx *Tx) error { return tx.Put("b", fmt.Appendf(nil, "%08d", i), nil) })
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("kept %08d\n", i)
	}
}

// TestKilled kills a process that commits in a loop: all that it said it kept
// is there, and its lock is not.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	child := exec.Command(os.Args[0], "-test.run=^TestChildKeeper$", "-test.v")
	child.Env = append(os.Environ(), childPath+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	buf := make([]byte, 512)
	for said.Len() < 2000 {
		n, err := out.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			t.Fatalf("child: %v\n%s", err, said.Bytes())
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	db := open(t, path)
	update(t, db, func(tx *Tx) error {
		for _, line := range bytes.Split(said.Bytes(), []byte("\n")) {
			key, ok := bytes.CutPrefix(line, []byte("kept "))
			if !ok || len(key) != 8 {
				continue
			}
			if _, ok := tx.Get("b", key); !ok {
				t.Errorf("%s was acknowledged and is gone", key)
			}
		}
		return nil
	})
}
