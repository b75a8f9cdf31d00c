package protocol

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt from this code")

// A vector is bytes and what they mean, for any implementation. In a file it is
// a paragraph of "field: value" lines; see testdata/README.md.
type vector struct {
	name   string
	kind   string // which decoder reads it: a key in decoders
	about  string // meaning, for people
	expect string // "ok", or the refusal's code: "2 malformed"
	bytes  []byte
	text   string // instead of bytes, for what people see as text
	values [][2]string
}

// with adds a value that a reader of the vector should find.
func (v vector) with(key string, value any) vector {
	v.values = append(v.values[:len(v.values):len(v.values)], [2]string{key, fmt.Sprint(value)})
	return v
}

func okVector(name, kind, about string, b []byte) vector {
	return vector{name: name, kind: kind, about: about, expect: "ok", bytes: b}
}

func badVector(name, kind, about string, code Code, b []byte) vector {
	return vector{name: name, kind: kind, about: about, expect: expectation(Refuse(code, "")), bytes: b}
}

// expectation returns a decoder's verdict as a file writes it.
func expectation(err error) string {
	if err == nil {
		return "ok"
	}
	if coded(err) {
		return fmt.Sprintf("%d %s", uint64(CodeOf(err)), CodeOf(err))
	}
	return "error without a code: " + err.Error()
}

// coded reports whether err has a code by which peers can be told of it.
func coded(err error) bool {
	var e *Error
	return errors.As(err, &e) || errors.Is(err, ErrForged)
}

const hexLine = 96 // digits

func writeVectors(head string, list []vector) []byte {
	var out bytes.Buffer
	for _, l := range strings.Split(strings.TrimSpace(head), "\n") {
		fmt.Fprintf(&out, "%s\n", strings.TrimRight("# "+l, " "))
	}
	for _, v := range list {
		fmt.Fprintf(&out, "\nname: %s\nkind: %s\nabout: %s\nexpect: %s\n", v.name, v.kind, v.about, v.expect)
		for _, kv := range v.values {
			fmt.Fprintf(&out, "%s: %s\n", kv[0], kv[1])
		}
		if v.text != "" {
			fmt.Fprintf(&out, "text: %s\n", v.text)
			continue
		}
		fmt.Fprint(&out, "hex:")
		digits := hex.EncodeToString(v.bytes)
		for len(digits) > hexLine {
			fmt.Fprintf(&out, " %s\n ", digits[:hexLine])
			digits = digits[hexLine:]
		}
		fmt.Fprintf(&out, " %s\n", digits)
	}
	return out.Bytes()
}

// readVectors reads a file as any implementation would.
func readVectors(t testing.TB, file string) []vector {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	for _, para := range strings.Split(string(raw), "\n\n")[1:] {
		list = append(list, readVector(t, para))
	}
	return list
}

func readVector(t testing.TB, para string) (v vector) {
	t.Helper()
	lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(para), "\n  ", ""), "\n")
	for _, line := range lines {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("line %q", line)
		}
		value = strings.TrimSpace(value)
		switch key {
		case "name":
			v.name = value
		case "kind":
			v.kind = value
		case "about":
			v.about = value
		case "expect":
			v.expect = value
		case "text":
			v.text = value
		case "hex":
			b, err := hex.DecodeString(value)
			if err != nil {
				t.Fatalf("%s: %v", v.name, err)
			}
			v.bytes = b
		default:
			v.values = append(v.values, [2]string{key, value})
		}
	}
	return v
}

// value returns what the vector says under key.
func (v vector) value(t testing.TB, key string) string {
	t.Helper()
	for _, kv := range v.values {
		if kv[0] == key {
			return kv[1]
		}
	}
	t.Fatalf("%s: no %q", v.name, key)
	return ""
}

// input is what the vector's decoder reads.
func (v vector) input() []byte {
	if v.text != "" {
		return []byte(v.text)
	}
	return v.bytes
}

// vectorFiles makes the vectors of each file anew from this code.
var vectorFiles = map[string]func(*world) (head string, list []vector){
	"records.txt":   recordVectors,
	"manifests.txt": manifestVectors,
	"links.txt":     linkVectors,
	"messages.txt":  messageVectors,
	"shards.txt":    shardVectors,
	"coding.txt":    codingVectors,
	"names.txt":     nameVectors,
	"members.txt":   memberVectors,
	"lots.txt":      lotVectors,
}

// The files have what this code writes; a change of bytes shows as a diff.
func TestVectorsAreGolden(t *testing.T) {
	w := newWorld(t)
	for file, generate := range vectorFiles {
		want := writeVectors(generate(w))
		path := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what this code writes; if the norm changed, run go test -run Golden -update", path)
		}
	}
}

// Each vector that a decoder reads is accepted or refused as its file says, and what
// is accepted encodes to the same bytes.
func TestVectorsDecode(t *testing.T) {
	w := newWorld(t)
	seen := make(map[string]bool)
	for file := range vectorFiles {
		for _, v := range readVectors(t, filepath.Join("testdata", file)) {
			t.Run(v.name, func(t *testing.T) {
				if seen[v.name] {
					t.Error("two vectors of one name")
				}
				seen[v.name] = true
				w.checkVector(t, v)
			})
		}
	}
}

func (w *world) checkVector(t *testing.T, v vector) {
	decode, ok := w.decoders()[v.kind]
	if !ok {
		check, ok := computed[v.kind]
		if !ok {
			t.Fatalf("nothing reads a %q", v.kind)
		}
		check(t, v)
		return
	}
	again, err := decode(v.input())
	if got := expectation(err); got != v.expect {
		t.Fatalf("%s: %s, not %s (%v)", v.about, got, v.expect, err)
	}
	if err == nil && !isOpen(v.kind, v.input()) && !bytes.Equal(again, v.input()) {
		t.Errorf("encodes to other bytes:\n%x\n%x", again, v.input())
	}
}

// All vectors together must stay small enough to be read in a review.
func TestVectorsSize(t *testing.T) {
	const most = 300 << 10
	var sum int64
	err := filepath.Walk("testdata", func(path string, info os.FileInfo, err error) error {
		if err == nil && strings.HasSuffix(path, ".txt") {
			sum += info.Size()
		}
		return err
	})
	if err != nil || sum > most {
		t.Errorf("vectors take %d bytes, over %d (%v)", sum, most, err)
	}
}
