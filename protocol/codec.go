package protocol

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// MaxInt bounds every integer on the wire: a browser cannot read greater ones
// exactly.
const MaxInt = 1<<53 - 1

// majorMap is the type in the first three bits of a CBOR map.
const majorMap = 5

// Input that is deeper or wider than any record of the specification is refused
// before it is read.
const (
	maxNesting  = 8
	maxElements = 8192
)

type codec struct {
	enc     cbor.EncMode
	strict  cbor.DecMode
	lenient cbor.DecMode // ignores unknown fields: Info only
}

var modes = sync.OnceValue(func() codec {
	out := cbor.CoreDetEncOptions()
	out.NilContainers = cbor.NilContainerAsEmpty // so that null is never canonical
	enc, err := out.EncMode()
	if err != nil {
		panic(err) // constant options
	}
	opt := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   maxNesting,
		MaxArrayElements:  maxElements,
		MaxMapPairs:       maxElements,
		UTF8:              cbor.UTF8RejectInvalid,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}
	lenient, err := opt.DecMode()
	if err != nil {
		panic(err)
	}
	opt.ExtraReturnErrors = cbor.ExtraDecErrorUnknownField
	strict, err := opt.DecMode()
	if err != nil {
		panic(err)
	}
	return codec{enc, strict, lenient}
})

// Encode returns the one encoding of v: deterministic CBOR (RFC 8949, 4.2.1).
func Encode(v any) ([]byte, error) {
	b, err := modes().enc.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b, nil
}

// mustEncode is for our own types, which always encode.
func mustEncode(v any) []byte {
	b, err := Encode(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Decode reads b into v and refuses whatever Encode would have written
// differently: unknown or missing fields, other key orders, long integers.
// thing names what is read, for errors.
func Decode(thing string, b []byte, v any) error {
	rest, err := decodeFirst(thing, b, v)
	if err == nil && len(rest) > 0 {
		err = malformed(thing, "%d bytes too many", len(rest))
	}
	return err
}

// decodeFirst is Decode for bytes that others may follow; it returns the others.
func decodeFirst(thing string, b []byte, v any) (rest []byte, err error) {
	rest, err = modes().strict.UnmarshalFirst(b, v)
	if err != nil {
		return nil, explain(thing, b, err)
	}
	again, err := Encode(v)
	if err != nil {
		return nil, malformed(thing, "%v", err)
	}
	if !bytes.Equal(again, b[:len(b)-len(rest)]) {
		return nil, malformed(thing, "not in canonical form")
	}
	return rest, nil
}

// explain distinguishes what a later version made from what is broken.
func explain(thing string, b []byte, err error) error {
	var head struct {
		V int64 `cbor:"v"`
	}
	if _, e := modes().lenient.UnmarshalFirst(b, &head); e == nil && head.V > Version {
		return Refuse(CodeVersion, "%s: version %d", thing, head.V)
	}
	return malformed(thing, "%v", err)
}

// decodeOpen reads a message to which later versions may add fields.
// It must be a map: the decoder would accept null as an empty one.
func decodeOpen(thing string, b []byte, v any) error {
	if len(b) > 0 && b[0]>>5 != majorMap {
		return malformed(thing, "not a map")
	}
	if err := modes().lenient.Unmarshal(b, v); err != nil {
		return malformed(thing, "%v", err)
	}
	return nil
}

// inRange checks an integer of the wire against 0 ≤ v ≤ most.
func inRange(thing, field string, v, most int64) error {
	if v < 0 || v > most {
		return malformed(thing, "%s %d is not within 0 … %d", field, v, most)
	}
	return nil
}
