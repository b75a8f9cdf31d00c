package integration

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/cairnstore/cairn/"

// mayImport says which of our packages each of our packages may import, tests
// aside. It is a statement of policy, not a description: a package that is not in
// it fails, and a new dependency needs a decision record (docs/decisions), not
// just a line here.
var mayImport = map[string][]string{
	"protocol":             {},
	"protocol/group":       {"protocol"},
	"protocol/p2p":         {"protocol", "protocol/group"},
	"protocol/memnet":      {"protocol"},
	"protocol/networktest": {"protocol"},

	"storage/erasure":     {},
	"storage/kv":          {},
	"storage":             {"protocol", "storage/erasure", "storage/kv"},
	"storage/storagetest": {"protocol", "storage"},

	"client/seal": {},
	"client":      {"client/seal", "protocol", "protocol/group", "storage/erasure", "storage/kv"},

	"node":         {"protocol", "protocol/group", "storage", "storage/erasure", "node/liveness", "node/audit", "node/repair", "node/contract", "node/note", "node/neighbours", "node/quota", "node/gate", "node/donors", "node/line", "node/truth", "node/fair"},
	"node/control": {},

	"node/contract": {"protocol"},

	"node/quota":      {"protocol", "protocol/group"},
	"node/gate":       {"protocol", "node/quota"},
	"node/line":       {"protocol", "node/contract"},
	"node/donors":     {"protocol", "protocol/group"},
	"node/fair":       {},
	"node/truth":      {"protocol", "storage"},
	"node/note":       {"protocol", "storage"},
	"node/neighbours": {"protocol", "protocol/group", "storage", "node/note", "node/liveness", "node/audit", "node/fair"},

	"node/liveness": {"protocol", "protocol/group"},
	"node/audit":    {"protocol", "protocol/group"},
	"node/repair":   {"protocol", "protocol/group"},

	"lab/fuzz":   {},
	"lab/launch": {},
	"lab/liar":   {"protocol", "node"},
	"lab/bench":  {"client", "client/seal", "lab/launch", "protocol", "protocol/p2p", "storage/erasure"},

	"cmd/cairn/crash": {},
	"cmd/cairn":       {"client", "cmd/cairn/crash", "lab/launch", "node", "node/contract", "node/control", "protocol", "protocol/group", "protocol/p2p", "storage"},

	"integration":      {},
	"integration/liar": {"lab/liar", "node", "protocol", "protocol/p2p", "storage"},
}

// forTests are packages that exist for tests: no program may depend on them.
var forTests = []string{"lab/fuzz", "protocol/networktest", "storage/storagetest", "protocol/memnet"}

// guarded names what only some packages may import, and why. A path stands for
// everything below it, too, unless a longer one in the table says otherwise;
// no package means: nobody.
var guarded = []struct {
	path string
	only []string
	why  string
}{
	{"crypto/aes", []string{"client/seal"}, "a node never touches a cipher; one package is audited"},
	{"crypto/cipher", []string{"client/seal"}, "as crypto/aes"},
	{"crypto/des", nil, "broken"},
	{"crypto/rc4", nil, "broken"},
	{"crypto/md5", nil, "broken"},
	{"crypto/sha1", nil, "broken"},
	{"crypto/hkdf", []string{"client/seal"}, "keys are derived in one place"},
	{"crypto/hpke", []string{"client/seal"}, "as crypto/aes"},
	{"golang.org/x/crypto", []string{"client/seal"}, "as crypto/aes"},

	{"github.com/libp2p", []string{"protocol/p2p"}, "only one package starts libp2p or the DHT"},
	{"github.com/libp2p/go-libp2p/core/peer", []string{"*"}, "a type, no machinery"},
	{"github.com/libp2p/go-libp2p/core/crypto", []string{"*"}, "a type, no machinery"},
	{"github.com/libp2p/go-libp2p/core/record", []string{"protocol"}, "signed peer records are opened in one place"},
	{"github.com/ipfs/go-datastore", []string{"protocol/p2p"}, "the DHT's alone"},

	{"go.etcd.io/bbolt", []string{"storage/kv"}, "its panics and its sync are mastered in one place"},
	{"github.com/klauspost/reedsolomon", []string{"storage/erasure"}, "its options have traps"},
	{"lukechampine.com/blake3", []string{"protocol"}, "leaves are checked in one place"},
	{"github.com/fxamacker/cbor", []string{"protocol"}, "canonical form is enforced in one place"},

	{"github.com/spf13", []string{"cmd/cairn"}, "flags and texts stand in cmd"},
	{"github.com/vbauerster/mpb", []string{"cmd/cairn"}, "as above"},
	{"github.com/mattn/go-isatty", []string{"cmd/cairn"}, "as above"},
	{"github.com/dustin/go-humanize", []string{"cmd/cairn", "lab/bench"}, "as above"},
	{"github.com/pelletier/go-toml", []string{"cmd/cairn"}, "configuration is read in cmd"},

	{"github.com/prometheus", []string{"cmd/cairn", "node", "protocol/p2p"}, "clients are not measured: nobody may come to know when they put"},

	{"net", []string{"protocol/p2p", "protocol/memnet", "node/control", "lab/bench", "cmd/cairn"}, "roles know the network as an interface"},
	{"net/netip", []string{"*"}, "a type, no machinery"},
	{"os/exec", []string{"lab/launch", "lab/bench"}, "one launcher"},
	{"plugin", nil, "no code from elsewhere"},
	{"unsafe", nil, "nothing here is worth it"},
}

// opensNoFile are packages that must not touch the file system.
var opensNoFile = []string{"protocol", "protocol/group", "storage/erasure", "client/seal", "node", "node/contract", "node/liveness", "node/audit", "node/repair", "node/note", "node/neighbours", "node/quota", "node/gate", "node/line", "node/donors", "node/truth", "node/fair"}

// sealObserver writes the audit of nonces, under a build tag that no release
// has.
const sealObserver = "client/seal/observe_on.go"

func TestImports(t *testing.T) {
	for dir, files := range sources(t) {
		if _, known := mayImport[dir]; !known {
			t.Errorf("package %s is not in the table: say who may import whom, and record why", dir)
			continue
		}
		for file, imports := range files {
			for _, path := range imports {
				if v := violation(dir, file, path); v != "" {
					t.Errorf("%s: %s", file, v)
				}
			}
		}
	}
}

// violation says what is wrong with an import, or nothing.
func violation(dir, file, path string) string {
	if own, ok := strings.CutPrefix(path, module); ok {
		switch {
		case !slices.Contains(mayImport[dir], own):
			return dir + " must not import " + own
		case slices.Contains(forTests, own) && !slices.Contains(forTests, dir):
			return own + " is for tests only"
		}
		return ""
	}
	if path == "os" && slices.Contains(opensNoFile, dir) && file != sealObserver {
		return dir + " opens no file"
	}
	best := -1
	for i, g := range guarded {
		if (path == g.path || strings.HasPrefix(path, g.path+"/")) && (best < 0 || len(g.path) > len(guarded[best].path)) {
			best = i
		}
	}
	if best >= 0 && !slices.Contains(guarded[best].only, dir) && !slices.Contains(guarded[best].only, "*") {
		return dir + " must not import " + path + ": " + guarded[best].why
	}
	return ""
}

// sources returns the imports of every file of every package, tests aside,
// whatever its build constraints.
func sources(t *testing.T) map[string]map[string][]string {
	t.Helper()
	found := make(map[string]map[string][]string)
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "tools" || name == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || path == "deps.go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", path), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if found[dir] == nil {
			found[dir] = make(map[string][]string)
		}
		found[dir][filepath.ToSlash(path)] = nil
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[dir][filepath.ToSlash(path)] = append(found[dir][filepath.ToSlash(path)], p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestPolicyBites shows that the checks above find what they are there for.
func TestPolicyBites(t *testing.T) {
	for _, c := range []struct{ dir, path string }{
		{"node", module + "client"},
		{"client", module + "node"},
		{"client", module + "protocol/memnet"},
		{"node", "crypto/cipher"},
		{"client", "github.com/libp2p/go-libp2p"},
		{"client", "github.com/libp2p/go-libp2p/core/host"},
		{"storage", "net/http"},
		{"protocol", "os"},
		{"storage", "go.etcd.io/bbolt"},
	} {
		if violation(c.dir, "x.go", c.path) == "" {
			t.Errorf("%s may import %s", c.dir, c.path)
		}
	}
}
