//go:build unix

package integration

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

// bigSize is beyond what fits in memory twice and beyond 32 bits.
const bigSize = 5 << 30

// TestFiveGiB sends a generator through standard input and hashes what `cat`
// gives back: nothing of it is ever a file, and neither side holds it.
func TestFiveGiB(t *testing.T) {
	slow(t)
	if os.Getenv(longVariable) != "" {
		t.Skip("TestFootprint sends as much, and measures it")
	}
	w := newTown(t, 5, launch.Config{Donate: "4GB"})
	a := w.newcomer("a")
	put := sha256.New()
	cmd := a.Command(a.ctx, a.home, a.args([]string{"put", "-", "--name", "big", "--profile", "4/5/5", "--json"})...)
	cmd.Stdin = io.TeeReader(io.LimitReader(w.noise(), bigSize), put)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	var res putResult
	w.must(json.Unmarshal(out, &res))
	if res.Size != bigSize {
		t.Fatalf("put: %d bytes", res.Size)
	}
	got := sha256.New()
	b := w.newcomer("b")
	cmd = b.Command(b.ctx, b.home, b.args([]string{"cat", "-", "--quiet"})...)
	cmd.Stdin, cmd.Stdout = strings.NewReader(res.Link), got
	w.must(cmd.Run())
	if string(got.Sum(nil)) != string(put.Sum(nil)) {
		t.Fatal("other bytes came back")
	}
	if state := cmd.ProcessState; state != nil {
		t.Logf("cat: %s of CPU, %d MB of memory at most", state.UserTime()+state.SystemTime(), maxRSS(state)>>20)
	}
}
