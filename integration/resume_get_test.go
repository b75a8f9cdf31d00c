//go:build linux

package integration

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

type getResult struct {
	Path      string
	Size, Had int64
}

var writtenBytes = regexp.MustCompile(`wchar: (\d+)`)

// sent returns the bytes that all nodes have written so far, to disks and
// lines. Nobody puts while a get is measured.
func (w *town) sent() (sum int64) {
	for _, n := range w.Nodes() {
		if m := writtenBytes.FindSubmatch(procRead(n.PID(), "io")); m != nil {
			v, _ := strconv.ParseInt(string(m[1]), 10, 64)
			sum += v
		}
	}
	return sum
}

// partialIn returns the partial file of a folder, or "".
func partialIn(dir string) string {
	list, _ := filepath.Glob(filepath.Join(dir, ".cairn-*.part"))
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// killedGet starts a get and kills it once a share of the file is written.
func (p *person) killedGet(link, target string, size int64, share float64) (written int64) {
	p.t.Helper()
	r := p.start(bytes.NewReader([]byte(link+"\n")), "get", "-", target)
	p.await("the get has written enough, or has ended", func() bool {
		info, err := os.Stat(partialIn(filepath.Dir(target)))
		if err == nil {
			written = info.Size()
		}
		return err == nil && written >= int64(share*float64(size)) || !r.running()
	})
	_ = r.Process.Kill()
	<-r.done
	if info, err := os.Stat(partialIn(filepath.Dir(target))); err == nil {
		written = info.Size()
	}
	if written == 0 || written >= size {
		p.t.Fatalf("killed at %d of %d bytes: the test tests nothing", written, size)
	}
	if _, err := os.Stat(target); err == nil {
		p.t.Fatal("a killed get has given the file its name")
	}
	return written
}

// TestResumedGet kills a get at 59 % of its file: the next one fetches the rest
// and no more, though the partial file was torn and damaged meanwhile, and
// another link's partial file lies beside it.
func TestResumedGet(t *testing.T) {
	const size, slack = 300 << 20, 24 << 20 // protocol, lookups, and what was under way
	w := newTown(t, 3, launch.Config{})
	a, b := w.newcomer("a"), w.newcomer("b")
	path, sum := w.file("big", size)
	link := a.put(path).Link
	otherPath, otherSum := w.file("other", 20<<20)
	other := a.put(otherPath).Link
	dir := w.emptyFolder("out")
	target := filepath.Join(dir, "big")

	before := w.sent()
	written := b.killedGet(link, target, size, 0.59)
	first := w.sent() - before

	// What a crash of the system may leave: a part that never came to the disk,
	// and a torn one.
	part := partialIn(dir)
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	w.must(err)
	_, err = f.WriteAt(make([]byte, 4096), 50<<20)
	w.must(err)
	w.must(f.Truncate(written - 1000))
	w.must(f.Close())

	var got getResult
	b.ok(&got, other+"\n", "get", "-", filepath.Join(dir, "other"))
	w.same(filepath.Join(dir, "other"), otherSum)
	if got.Had != 0 {
		t.Errorf("another link's %d bytes were used", got.Had)
	}

	before = w.sent()
	b.ok(&got, link+"\n", "get", "-", target)
	second := w.sent() - before
	t.Logf("killed at %d of %d bytes (%.0f %%): %d served until then, %d of them kept, %d served for the rest", written, size, 100*float64(written)/size, first, got.Had, second)
	w.same(target, sum)
	if got.Had < written-2<<20 || got.Had >= written {
		t.Errorf("%d of %d bytes were kept", got.Had, written)
	}
	if rest := size - got.Had; second > rest+rest/20+slack {
		t.Errorf("%d bytes were served for the %d that were missing", second, rest)
	}
	w.must(os.Remove(target))
	w.must(os.Remove(filepath.Join(dir, "other")))
	w.noLeftovers(dir)
}

// same checks a file's bytes.
func (w *town) same(path string, want [32]byte) {
	w.t.Helper()
	b, err := os.ReadFile(path)
	w.must(err)
	if sha256.Sum256(b) != want {
		w.t.Errorf("%s has %d bytes, and they are others", path, len(b))
	}
}
