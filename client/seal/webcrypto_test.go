package seal

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"testing"
	"time"
)

// question and answer are bytes by name; JSON carries them as base64.
type (
	question map[string]any
	answer   map[string][]byte
)

// webCrypto asks an independent implementation all questions in one run.
func webCrypto(t *testing.T, questions []question) []answer {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not on PATH: no WebCrypto to compare with")
	}
	in, err := json.Marshal(map[string]any{"questions": questions})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "testdata/webcrypto.mjs")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("webcrypto.mjs: %v\n%s", err, stderr.Bytes())
	}
	var reply struct{ Answers []answer }
	if err := json.Unmarshal(out, &reply); err != nil || len(reply.Answers) != len(questions) {
		t.Fatalf("webcrypto.mjs: %d answers to %d questions: %v", len(reply.Answers), len(questions), err)
	}
	return reply.Answers
}

// All labels: WebCrypto derives what the committed vectors say.
func TestWebCryptoDerives(t *testing.T) {
	vectors := cases(t, "derive.txt")
	var questions []question
	for _, v := range vectors {
		questions = append(questions, question{
			"verb": "derive", "generation": v.number("generation"), "master": v.bytes("master"),
			"nonce": v.bytes("nonce"), "secret": v.bytes("secret"), "salt": v.bytes("salt"),
		})
	}
	for i, got := range webCrypto(t, questions) {
		if len(got) != int(purposes) {
			t.Errorf("%s: %d results, not %d", vectors[i].name, len(got), purposes)
		}
		for name, b := range got {
			if want := vectors[i].bytes(name); len(want) == 0 || !bytes.Equal(b, want) {
				t.Errorf("%s: %s: WebCrypto %x, the vector %x", vectors[i].name, name, b, want)
			}
		}
	}
}

// WebCrypto opens our extents, and makes the same ones under the same key.
func TestWebCryptoExtents(t *testing.T) {
	random := seeded(t)
	var questions []question
	var want [][]byte
	for _, c := range sizes {
		plain := make([]byte, c.plain)
		_, _ = random.Read(plain)
		key, extent, err := sealText(random, nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		var other [KeySize]byte
		_, _ = random.Read(other[:])
		questions = append(questions,
			question{"verb": "open", "key": key[:], "sealed": extent},
			question{"verb": "seal", "key": other[:], "plain": plain})
		want = append(want, plain)
	}
	answers := webCrypto(t, questions)
	for i, c := range sizes {
		if got := answers[2*i]["plain"]; !bytes.Equal(got, want[i]) {
			t.Errorf("%s: WebCrypto opens other bytes", c.why)
		}
		key, theirs := Key(questions[2*i+1]["key"].([]byte)), answers[2*i+1]["sealed"]
		if got, err := Open(key, nil, theirs); err != nil || !bytes.Equal(got, want[i]) {
			t.Errorf("%s: WebCrypto's extent: %v", c.why, err)
		}
		if !bytes.Equal(sealed(t, key, want[i]), theirs) {
			t.Errorf("%s: two extents of one text under one key", c.why)
		}
	}
}

// WebCrypto refuses what we refuse: the specification demands it, not only our code.
func TestWebCryptoRefuses(t *testing.T) {
	key := counting(20)
	extent := sealed(t, key, pattern(2*PartSize+77))
	var questions []question
	for _, c := range tampered {
		questions = append(questions, question{"verb": "open", "key": key[:], "sealed": c.change(t, bytes.Clone(extent))})
	}
	for i, got := range webCrypto(t, questions) {
		if _, refused := got["refused"]; !refused {
			t.Errorf("%s: WebCrypto opens it", tampered[i].name)
		}
	}
}

func TestWebCryptoPayload(t *testing.T) {
	read := counting(30)
	plain := pattern(PayloadPlain)
	salt, payload, err := SealPayload(seeded(t), read, (*[PayloadPlain]byte)(plain))
	if err != nil {
		t.Fatal(err)
	}
	answers := webCrypto(t, []question{
		{"verb": "openPayload", "read": read[:], "salt": salt[:], "sealed": payload},
		{"verb": "sealPayload", "read": read[:], "plain": plain},
	})
	if !bytes.Equal(answers[0]["plain"], plain) {
		t.Error("WebCrypto opens another payload")
	}
	got, err := OpenPayload(read, [SaltSize]byte(answers[1]["salt"]), answers[1]["sealed"])
	if err != nil || !bytes.Equal(got[:], plain) {
		t.Errorf("WebCrypto's payload: %v", err)
	}
}
