package main

import (
	"strings"
	"testing"

	"github.com/cairnstore/cairn/lab/fuzz"
)

// hostile are names that a stranger's link could bring.
var hostile = []string{
	"", ".", "..", "../x", "a/b", `a\b`, "/etc/passwd", `C:\x`, "a\x00b", "a\nb", "a\x1b[31mb", "a\u202egpj.exe", "a\u200bb",
	"con", "CON", "Nul.txt", "com1", "COM1.tar.gz", "lpt9", "com¹", "aux .txt", "conin$",
	"x.", "x ", " x", "...", strings.Repeat("a", 256), strings.Repeat("é", 128), "a\xffb", "\ufffd",
}

func TestHostileNames(t *testing.T) {
	for _, name := range hostile {
		if err := checkName(name); err == nil {
			t.Errorf("%q is taken for a file's name", name)
		}
	}
	for _, name := range []string{".profile", ".bash_profile", ".a", "..a"} { // allowed for a put, and if the user types it
		if checkName(name) != nil || checkGivenName(name) == nil {
			t.Errorf("%q: a link alone may make it, or nobody", name)
		}
	}
	for _, name := range []string{"a", "a.txt", "a.profile", "com10", "console.log", "comx", "nullable", "ünï cödé.mp4", "-", "日本.tar", strings.Repeat("a", 255)} {
		if err := checkGivenName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	fuzz.Run(f, func(t *fuzz.T, name string) {
		var err error
		t.Frugal(uint64(1<<20+64*len(name)), func() { err = checkName(name) })
		if err != nil {
			return
		}
		t.Accepted()
		if name == "" || name == "." || name == ".." || len(name) > maxName || strings.ContainsAny(name, "/\\\x00\n\r") {
			t.Fatalf("%q passed", name)
		}
	})
}

func TestRedact(t *testing.T) {
	secret := "AQIDBAUGBwgJCgsMDQ4PEBES"
	for _, text := range []string{
		"unknown command \"cairn:" + secret + "\"", "get CAIRN:" + secret, "open https://gate.example/#" + secret + ": no", "--x=cairn:" + secret,
	} {
		if got := redact(text); strings.Contains(got, secret) || strings.Contains(got, secret[:8]) {
			t.Errorf("%q keeps the secret", got)
		}
	}
	for _, text := range []string{"cairn: put \"a\": failed", "hint: \"cairn help\"", "cairn-join:abc"} {
		if redact(text) != text {
			t.Errorf("%q became %q", text, redact(text))
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"200GB": 200e9, "1.5TiB": 3 << 39, "4096": 4096, "1 GB": 1e9} {
		if n, err := parseSize(text); n != want || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "much", "-1GB", "1XB", "99999999999TB", "NaN"} {
		if n, err := parseSize(text); err == nil {
			t.Errorf("%q is %d bytes", text, n)
		}
	}
}
