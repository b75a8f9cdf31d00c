package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// holder keeps secrets in every way that our structs may.
type holder struct {
	Key     Key
	Master  Master
	Pointer *Key
	List    []Key
	Array   [2]Master
	Map     map[string]Key
	Keyed   map[Key]int
	Any     any
	Bundle  Bundle
	hidden  func() Key // the one form that fmt cannot enter where it calls no methods
}

// outer keeps a Sealer and an Opener where fmt calls no methods.
type outer struct {
	sealer *Sealer
	opener *Opener
}

// leaks returns the form in which text contains a run of the secret's bytes, or "".
// The secret is chosen so that no form occurs by chance.
func leaks(text string, secret []byte) string {
	run := secret[4:10]
	decimal := make([]string, len(run))
	for i, b := range run {
		decimal[i] = fmt.Sprint(b)
	}
	lower := strings.ToLower(text)
	forms := map[string]string{
		"raw":     string(run),
		"hex":     hex.EncodeToString(run),
		"spaced":  fmt.Sprintf("% x", run),
		"Go":      fmt.Sprintf("%#v", run)[len("[]byte{") : len(fmt.Sprintf("%#v", run))-1],
		"decimal": strings.Join(decimal, " "),
		"list":    strings.Join(decimal, ","),
		"quoted":  strings.Trim(fmt.Sprintf("%q", run), `"`),
	}
	for form, s := range forms {
		if strings.Contains(text, s) || strings.Contains(lower, s) {
			return form
		}
	}
	for shift := range 3 { // base64 of a longer run that contains the secret has one of these
		if strings.Contains(text, base64.RawStdEncoding.EncodeToString(secret[4+shift:10+shift])) {
			return "base64"
		}
	}
	return ""
}

func TestSecretsNeverPrint(t *testing.T) {
	k := counting(0xb1)
	m := Master(k)
	h := holder{k, m, &k, []Key{k}, [2]Master{m, m}, map[string]Key{"a": k}, map[Key]int{k: 1}, k, Bundle{k, k, k}, func() Key { return k }}
	s, err := newSealer(k)
	if err != nil {
		t.Fatal(err)
	}
	commitment := s.Commitment()
	o, err := NewOpener(k, commitment[:], 1)
	if err != nil {
		t.Fatal(err)
	}
	aes := derive(k, nil, forCipher)
	values := map[string]any{
		"key": k, "*key": &k, "master": m, "*master": &m, "struct": h, "*struct": &h,
		"bundle": h.Bundle, "sealer": s, "opener": o, "outer": outer{s, o}, "*outer": &outer{s, o}, "list": []any{k, m}, "error": fmt.Errorf("with %v: %w", k, ErrOpen),
	}
	for name, v := range values {
		for printer, text := range printed(t, v) {
			for _, secret := range [][]byte{k[:], aes[:]} {
				if form := leaks(text, secret); form != "" {
					t.Errorf("%s through %s shows its bytes (%s): %.300s", name, printer, form, text)
				}
			}
		}
	}
	for printer, text := range printed(t, k) {
		if !strings.Contains(text, redacted) {
			t.Errorf("a key through %s says %q", printer, text)
		}
	}
}

// printed returns v as every printer that we use prints it.
func printed(t *testing.T, v any) map[string]string {
	out := map[string]string{"Sprint": fmt.Sprint(v), "Sprintln": fmt.Sprintln(v)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%08b", "%o", "%U", "%c", "%t", "%e", "%!"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	if b, err := json.Marshal(v); err == nil {
		out["json"] = string(b)
	}
	if b, err := xml.Marshal(v); err == nil {
		out["xml"] = string(b)
	}
	var text, js bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("secret", "v", v, slog.Group("g", "v", v))
	slog.New(slog.NewJSONHandler(&js, nil)).Info("secret", "v", v, slog.Group("g", "v", v))
	out["slog text"], out["slog json"] = text.String(), js.String()
	return out
}

// leaks must find what is there.
func TestLeaksFinds(t *testing.T) {
	k := counting(0xb1)
	b, _ := json.Marshal([]byte(k[:]))
	list, _ := json.Marshal([KeySize]byte(k))
	for _, text := range []string{
		string(k[:]), fmt.Sprint(k[:]), fmt.Sprintf("%x", k[:]), fmt.Sprintf("%X", k[:]), fmt.Sprintf("% x", k[:]),
		fmt.Sprintf("%#v", k[:]), fmt.Sprintf("%q", k[:]), string(b), string(list),
	} {
		if leaks(text, k[:]) == "" {
			t.Errorf("not found in %s", text)
		}
	}
}
