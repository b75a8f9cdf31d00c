package protocol

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// No printer shows a byte of a secret, alone or inside something else.
func TestSecretsAreNotPrinted(t *testing.T) {
	s := Secret(bytes.Repeat([]byte{0xd5}, 32))
	e := Extent{Secret: s, Key: s, Length: 1}
	l := Link{Pointer: PointerID{1}, Read: s}
	for name, v := range map[string]any{
		"secret": s, "pointer to it": &s, "slice": []Secret{s}, "array": [1]Secret{s}, "map": map[string]Secret{"a": s},
		"any": []any{s}, "struct": struct{ S Secret }{s}, "struct of pointer": struct{ S *Secret }{&s},
		"extent": e, "extents": []Extent{e}, "manifest": Manifest{Name: "a", Extents: []Extent{e}},
		"pointer to manifest": &Manifest{Extents: []Extent{e}}, "page": Page{Extents: []Extent{e}}, "target": &Target{Extent: e},
		"link": l, "pointer to link": &l, "links": []Link{l}, "struct of link": struct{ L Link }{l}, "map of links": map[int]Link{1: l},
		"error": fmt.Errorf("open %v: %w", l, ErrDenied),
	} {
		for _, text := range printed(t, v) {
			if shows(text, s) {
				t.Errorf("%s: %.200q", name, text)
			}
		}
	}
	if fmt.Sprint(l) != "link to pointer "+l.Pointer.String() || fmt.Sprintf("%x", s) != "secret" {
		t.Errorf("%v %x", l, s)
	}
}

// printed returns v as every printer that a program is likely to use prints it.
func printed(t *testing.T, v any) (out []string) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "% x", "%64v"} {
		out = append(out, fmt.Sprintf(verb, v))
	}
	out = append(out, fmt.Sprint(v), fmt.Sprintln(v))
	if b, err := json.Marshal(v); err == nil {
		out = append(out, string(b))
	}
	var buf bytes.Buffer
	slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "k", v)
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", "k", v, slog.Group("g", "k", v))
	return append(out, buf.String())
}

// shows reports whether a text holds a few bytes of the secret in a row, in any
// usual writing.
func shows(text string, s Secret) bool {
	part := s[:4]
	dec := strings.Trim(strings.Repeat("213 ", 4), " ")
	for _, form := range []string{string(part), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)),
		base64.StdEncoding.EncodeToString(s[:3]), base64.URLEncoding.EncodeToString(s[:3]), dec,
		strings.ReplaceAll(dec, " ", ", "), strings.ReplaceAll(dec, " ", ","), "d5 d5 d5", "0xd5, 0xd5", `\xd5\xd5`, "325 325", "11010101 11010101"} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// No error of a damaged link repeats its text, whose rest may still be right.
func TestLinkErrorsRepeatNothing(t *testing.T) {
	w := newWorld(t)
	text := string(encodedText(w.link(w.address(0)).Text()))
	for i := range text {
		for _, damaged := range []string{text[:i], text[:i] + "~" + text[i:], text[:i] + text[i+1:], "https://gate.example/#" + text[i:]} {
			_, err := ParseLink(damaged)
			if err == nil {
				continue
			}
			for j := 0; j+8 <= len(damaged); j++ {
				if part := damaged[j : j+8]; j >= len(LinkPrefix) && strings.Contains(err.Error(), part) {
					t.Fatalf("%q repeats %q", err, part)
				}
			}
		}
	}
}

// A link may come with line breaks in it and blanks around it, as mail and shells
// leave them.
func TestParseLinkFromMail(t *testing.T) {
	w := newWorld(t)
	text := string(encodedText(w.link(w.address(0), w.address(1)).Text()))
	for _, s := range []string{" " + text + "\n", text[:80] + "\r\n" + text[80:], "https://gate.example/#" + text[len(LinkPrefix):] + " "} {
		l, err := ParseLink(s)
		if err != nil || string(encodedText(l.Text())) != text {
			t.Errorf("%q: %v", s, err)
		}
	}
}
