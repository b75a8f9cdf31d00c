package main

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/node"
)

var update = flag.Bool("update", false, "write golden files anew")

// documented are the objects in docs/json.md, by the name after the fence.
var documented = map[string]any{
	"error": errorEvent{}, "put": putResult{}, "put progress": putEvent{}, "get": getResult{}, "get progress": getEvent{},
	"health": healthResult{}, "uploads": uploadsResult{}, "ready": readyEvent{}, "status": nodeStatus{}, "join": joinResult{},
	"network": networkResult{}, "invite": inviteResult{}, "step": stepEvent{}, "done": demoEvent{}, "version": versionResult{},
	"doctor": doctorResult{}, "delete": deleteResult{}, "renew": renewResult{},
	"node health": nodeHealthResult{}, "stance": stanceResult{}, "drain": node.DrainProgress{}, "drain progress": drainEvent{},
}

// fields lists the names and types in an object's JSON.
func fields(prefix string, t reflect.Type) []string {
	switch t.Kind() {
	case reflect.Slice:
		return fields(prefix+"[]", t.Elem())
	case reflect.Struct:
		if t.String() == "time.Time" {
			return []string{prefix + " time"}
		}
	default:
		return []string{prefix + " " + t.Kind().String()}
	}
	var out []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" {
			name = "FIELD WITHOUT A NAME: " + t.Field(i).Name
		}
		out = append(out, fields(prefix+"."+name, t.Field(i).Type)...)
	}
	return out
}

// TestNamesStay checks every name against the golden file, because scripts depend on
// them. Lines may be added with -update; removing or changing one breaks scripts.
func TestNamesStay(t *testing.T) {
	var lines []string
	for name, v := range documented {
		lines = append(lines, fields(name, reflect.TypeOf(v))...)
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	const path = "testdata/json.golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("names of --json differ from %s; -update writes it anew, and nothing may go:\n%s", path, got)
	}
}

var fence = regexp.MustCompile("(?s)```json ([a-z ]+)\n(.*?)```")

// TestDocumentedJSON compares each example of docs/json.md with its object:
// every field is there, and nothing else.
func TestDocumentedJSON(t *testing.T) {
	doc, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, m := range fence.FindAllSubmatch(doc, -1) {
		name := string(m[1])
		v, ok := documented[name]
		if !ok {
			t.Errorf("docs/json.md documents %q, which no command prints", name)
			continue
		}
		seen[name] = true
		into := reflect.New(reflect.TypeOf(v)).Interface()
		dec := json.NewDecoder(strings.NewReader(string(m[2])))
		dec.DisallowUnknownFields()
		if err := dec.Decode(into); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var raw any
		if err := json.Unmarshal(m[2], &raw); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		lines := fields("", reflect.TypeOf(v))
		got := withoutKeys(shape("", raw), lines)
		want := names(lines)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\ndocumented %v\nprinted    %v", name, got, want)
		}
	}
	for name := range documented {
		if !seen[name] {
			t.Errorf("docs/json.md does not document %q", name)
		}
	}
}

// withoutKeys writes a map once, whatever keys the example has.
func withoutKeys(shape, lines []string) []string {
	for _, l := range lines {
		name, isMap := strings.CutSuffix(l, " map")
		for i := range shape {
			if isMap && strings.HasPrefix(shape[i], name+".") {
				shape[i] = name
			}
		}
	}
	return slices.Compact(shape)
}

func names(lines []string) []string {
	for i, l := range lines {
		lines[i], _, _ = strings.Cut(l, " ")
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// shape lists the names in decoded JSON.
func shape(prefix string, v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			out = append(out, shape(prefix+"."+k, x)...)
		}
	case []any:
		for _, x := range v {
			out = append(out, shape(prefix+"[]", x)...)
		}
	default:
		out = []string{prefix}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
