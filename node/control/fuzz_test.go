package control

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/cairnstore/cairn/lab/fuzz"
)

// Whatever line comes, the answer is one object that says yes or why not.
func FuzzAnswer(f *testing.F) {
	for _, line := range []string{`{"verb":"echo","args":{"a":1}}`, `{"verb":"x"}`, `[]`, ``, `{"verb":3}`} {
		f.Add([]byte(line))
	}
	s := &Server{handlers: map[string]Handler{
		"echo": func(_ context.Context, args json.RawMessage) (any, error) { return args, nil },
	}}
	fuzz.Run(f, func(t *fuzz.T, line []byte) {
		var r reply
		t.Frugal(uint64(1<<20+64*len(line)), func() { r = s.answer(t.Context(), line) })
		if r.OK == (r.Error != "") {
			t.Fatalf("%+v", r)
		}
		if r.OK {
			t.Accepted()
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}
