package protocol

import (
	"cmp"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// pair is one entry of a CBOR map, with its value as encoded.
type pair struct {
	key   string
	value []byte
}

// pairsOf takes a map apart, in canonical order.
func pairsOf(b []byte) []pair {
	var m map[string]cbor.RawMessage
	if err := cbor.Unmarshal(b, &m); err != nil {
		panic(err) // the vectors' own bytes
	}
	var out []pair
	for k, v := range m {
		out = append(out, pair{k, v})
	}
	slices.SortFunc(out, func(a, b pair) int {
		return cmp.Or(cmp.Compare(len(a.key), len(b.key)), cmp.Compare(a.key, b.key))
	})
	return out
}

// mapOf puts a map together, right or wrong. All keys are shorter than 24 bytes, and
// our maps have fewer than 24 entries.
func mapOf(list ...pair) []byte {
	out := []byte{0xa0 | byte(len(list))}
	for _, p := range list {
		out = append(out, 0x60|byte(len(p.key)))
		out = append(out, p.key...)
		out = append(out, p.value...)
	}
	return out
}

// set replaces a value, or adds one in canonical order.
func set(list []pair, key string, value ...byte) []pair {
	out := slices.Clone(list)
	i, found := slices.BinarySearchFunc(out, key, func(p pair, k string) int {
		return cmp.Or(cmp.Compare(len(p.key), len(k)), cmp.Compare(p.key, k))
	})
	if found {
		out[i].value = value
		return out
	}
	return slices.Insert(out, i, pair{key, value})
}

// spoilt returns the ways in which any map must be refused, by name.
func spoilt(b []byte) map[string][]byte {
	list := pairsOf(b)
	out := map[string][]byte{
		"unknown-field":  mapOf(set(list, "zzz", 0)...),
		"trailing-byte":  append(slices.Clone(b), 0),
		"cut-short":      b[:len(b)-1],
		"indefinite-map": append(append([]byte{0xbf}, b[1:]...), 0xff),
		"null":           {0xf6},
		"empty":          {},
	}
	if len(list) > 0 {
		last := list[len(list)-1]
		out["missing-field"] = mapOf(list[:len(list)-1]...)
		out["double-key"] = mapOf(append(slices.Clone(list), last)...)
		out["null-value"] = mapOf(set(list, last.key, 0xf6)...)
		out["upper-case-key"] = mapOf(append(slices.Clone(list[:len(list)-1]), pair{upper(last.key), last.value})...)
	}
	if len(list) > 1 {
		out["unsorted"] = mapOf(append(slices.Clone(list[1:]), list[0])...)
	}
	return out
}

func upper(s string) string { return string(s[0]-'a'+'A') + s[1:] }
