package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

var tomlFence = regexp.MustCompile("(?s)```toml\n(.*?)```")

// TestDocumentedSettings: every config.toml in the documentation is one that
// the program takes.
func TestDocumentedSettings(t *testing.T) {
	paths, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	root := rootCommand(newApp(strings.NewReader(""), io.Discard, io.Discard))
	seen := 0
	for _, path := range paths {
		doc, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range tomlFence.FindAllSubmatch(doc, -1) {
			seen++
			table := make(map[string]any)
			if err := toml.Unmarshal(m[1], &table); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if err := checkConfig(root, table, ""); err != nil {
				t.Errorf("%s: %v in\n%s", path, err, m[1])
			}
		}
	}
	if seen < 4 {
		t.Errorf("%d examples: the test tests nothing", seen)
	}
}
