package protocol

import (
	"bytes"
	"unicode/utf8"
)

// Limits of a manifest.
const (
	MaxManifest = 256 << 10 // bytes of one manifest or page of extents
	MaxName     = 1 << 10   // bytes of a file's name
	maxDepth    = 3
	maxNS       = 999_999_999
)

// Extent is a run of sealed bytes under one key, inside one segment: all that
// is needed to find it, prove the right to read it, and open it.
type Extent struct {
	_       struct{}  `cbor:",toarray"`
	Group   GroupID   // whose members hold the segment
	Segment SegmentID //
	Secret  Secret    // the segment's: its read key is derived from it
	Key     Secret    // the extent's: commitment and cipher key are derived from it
	Offset  int64     // bytes into the segment
	Length  int64     // sealed bytes, commitment included
}

// Validate checks that the extent can lie within a segment.
func (e *Extent) Validate() error {
	if err := inRange("extent", "offset", e.Offset, MaxSegment); err != nil {
		return err
	}
	if e.Length < 1 || e.Offset+e.Length > MaxSegment {
		return malformed("extent", "%d bytes at %d", e.Length, e.Offset)
	}
	return nil
}

// Manifest is the record of one file version. It is sealed and stored like
// content; links point at it (SPEC.md, Manifest).
type Manifest struct {
	V       int      `cbor:"v"`
	Kind    string   `cbor:"kind"`
	Name    string   `cbor:"name"`    // a base name; data, never a path
	Size    int64    `cbor:"size"`    // bytes of the file
	MTime   int64    `cbor:"mtime"`   // Unix seconds
	MTimeNS int64    `cbor:"mtimeNs"` // and nanoseconds
	Depth   int      `cbor:"depth"`   // 0: the extents are content; else they are pages of extents, one level down
	Extents []Extent `cbor:"extents"`
}

// Page is a run of a large manifest's extents, sealed on its own.
type Page struct {
	V       int      `cbor:"v"`
	Kind    string   `cbor:"kind"`
	Depth   int      `cbor:"depth"`
	Extents []Extent `cbor:"extents"`
}

const (
	kindManifest = "manifest"
	kindPage     = "page"
)

// Encode validates the manifest and returns its bytes.
func (m *Manifest) Encode() ([]byte, error) {
	m.V, m.Kind = Version, kindManifest
	if m.Extents == nil {
		m.Extents = []Extent{}
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return encodeSized(kindManifest, m)
}

// Validate checks every bound of the manifest.
func (m *Manifest) Validate() error {
	if m.V != Version || m.Kind != kindManifest {
		return Refuse(CodeVersion, "manifest: version %d of %.32q", m.V, m.Kind)
	}
	if len(m.Name) > MaxName || !utf8.ValidString(m.Name) {
		return malformed(kindManifest, "name of %d bytes", len(m.Name))
	}
	if err := inRange(kindManifest, "size", m.Size, MaxInt); err != nil {
		return err
	}
	if m.MTime < -MaxInt || m.MTime > MaxInt || m.MTimeNS < 0 || m.MTimeNS > maxNS {
		return malformed(kindManifest, "time out of range")
	}
	return checkExtents(kindManifest, m.Depth, m.Extents)
}

// ParseManifest decodes and validates a manifest.
func ParseManifest(b []byte) (*Manifest, error) {
	m := new(Manifest)
	if len(b) > MaxManifest {
		return nil, malformed(kindManifest, "%d bytes", len(b))
	}
	if err := Decode(kindManifest, b, m); err != nil {
		return nil, err
	}
	return m, m.Validate()
}

// Encode validates the page and returns its bytes.
func (p *Page) Encode() ([]byte, error) {
	p.V, p.Kind = Version, kindPage
	if err := checkExtents(kindPage, p.Depth, p.Extents); err != nil {
		return nil, err
	}
	return encodeSized(kindPage, p)
}

// ParsePage decodes and validates a page of extents.
func ParsePage(b []byte) (*Page, error) {
	p := new(Page)
	if len(b) > MaxManifest {
		return nil, malformed(kindPage, "%d bytes", len(b))
	}
	if err := Decode(kindPage, b, p); err != nil {
		return nil, err
	}
	if p.V != Version || p.Kind != kindPage {
		return nil, Refuse(CodeVersion, "page: version %d of %.32q", p.V, p.Kind)
	}
	return p, checkExtents(kindPage, p.Depth, p.Extents)
}

func checkExtents(kind string, depth int, extents []Extent) error {
	if depth < 0 || depth > maxDepth {
		return malformed(kind, "depth %d", depth)
	}
	for i := range extents {
		if err := extents[i].Validate(); err != nil {
			return err
		}
	}
	return nil
}

func encodeSized(kind string, v any) ([]byte, error) {
	b, err := Encode(v)
	if err == nil && len(b) > MaxManifest {
		err = malformed(kind, "%d bytes", len(b))
	}
	return b, err
}

// TargetSize is the length in bytes of every pointer's payload before sealing.
const TargetSize = 1024

// MaxTargetHints bounds the hints of a target.
const MaxTargetHints = 8

// Target is what a pointer's payload says: where a manifest lies, and which peers
// held it when the pointer was written.
type Target struct {
	V      int      `cbor:"v"`
	Kind   string   `cbor:"kind"`
	Extent Extent   `cbor:"extent"`
	Hints  [][]byte `cbor:"hints"` // multiaddrs that end in /p2p
}

const kindTarget = "target"

// Encode returns exactly TargetSize bytes, zero-filled; it drops hints from
// the end until the rest fits.
func (t *Target) Encode() ([]byte, error) {
	t.V, t.Kind = Version, kindTarget
	if t.Hints == nil {
		t.Hints = [][]byte{}
	}
	if len(t.Hints) > MaxTargetHints {
		t.Hints = t.Hints[:MaxTargetHints]
	}
	for {
		b, err := Encode(t)
		if err != nil {
			return nil, err
		}
		if len(b) <= TargetSize {
			return append(b, make([]byte, TargetSize-len(b))...), nil
		}
		if len(t.Hints) == 0 {
			return nil, malformed(kindTarget, "%d bytes", len(b))
		}
		t.Hints = t.Hints[:len(t.Hints)-1]
	}
}

// ParseTarget decodes and validates the payload of a pointer.
func ParseTarget(b []byte) (*Target, error) {
	if len(b) != TargetSize {
		return nil, malformed(kindTarget, "%d bytes", len(b))
	}
	t := new(Target)
	rest, err := decodeFirst(kindTarget, b, t)
	if err != nil {
		return nil, err
	}
	if len(bytes.Trim(rest, "\x00")) != 0 {
		return nil, malformed(kindTarget, "not zero-filled")
	}
	if t.V != Version || t.Kind != kindTarget {
		return nil, Refuse(CodeVersion, "target: version %d of %.32q", t.V, t.Kind)
	}
	if len(t.Hints) > MaxTargetHints {
		return nil, malformed(kindTarget, "%d hints", len(t.Hints))
	}
	return t, t.Extent.Validate()
}
