package protocol

import "bytes"

const manifestHead = `
What lies sealed in segments and pointers: SPEC.md, "Manifest" and "Target". Bytes are before sealing.`

func manifestVectors(w *world) (string, []vector) {
	list := w.fileVectors()
	list = append(list, w.pageVectors()...)
	return manifestHead, append(list, w.targetVectors()...)
}

func encoded(b []byte, err error) []byte {
	if err != nil {
		panic(err) // the vectors' own
	}
	return b
}

func (w *world) manifest() *Manifest {
	return &Manifest{Name: "Grüße.txt", Size: 152, MTime: at.Unix(), MTimeNS: 123_456_789, Extents: []Extent{w.extent()}}
}

func (w *world) fileVectors() []vector {
	const kind = "manifest"
	m := w.manifest()
	good := encoded(m.Encode())
	bad := func(name, about string, change func(*Manifest)) vector {
		m := *w.manifest()
		m.V, m.Kind = Version, kindManifest
		change(&m)
		return badVector("manifest/"+name, kind, about, CodeMalformed, mustEncode(m))
	}
	out := []vector{
		okVector("manifest/plain", kind, "a file of 152 bytes in one extent of 200", good).
			with("file", m.Name).with("size", m.Size).with("mtime", m.MTime).with("group", w.group).with("segment", w.segment),
		okVector("manifest/empty-file", kind, "an empty file has no extent", encoded((&Manifest{Name: "empty"}).Encode())),
		okVector("manifest/before-1970", kind, "a time before 1970", encoded((&Manifest{Name: "old", MTime: -1, MTimeNS: 999_999_999}).Encode())),
		bad("ns", "nanoseconds of a whole second", func(m *Manifest) { m.MTimeNS = 1_000_000_000 }),
		bad("size-2-53", "a size of 2^53", func(m *Manifest) { m.Size = MaxInt + 1 }),
		bad("depth", "deeper than 3", func(m *Manifest) { m.Depth = 4 }),
		bad("name", "a name over 1 KiB", func(m *Manifest) { m.Name = string(bytes.Repeat([]byte{'a'}, MaxName+1)) }),
		bad("extent-0", "an extent of 0 bytes", func(m *Manifest) { m.Extents[0].Length = 0 }),
		bad("extent-over", "an extent that ends beyond 64 MiB", func(m *Manifest) { m.Extents[0].Offset = MaxSegment }),
		bad("utf-8", "a name that is no UTF-8", func(m *Manifest) { m.Name = "\xff" }),
		badVector("manifest/version-2", kind, "of a later version", CodeVersion, mapOf(set(pairsOf(good), "v", 2)...)),
	}
	short := bytes.Replace(good, []byte{0x81, 0x86}, []byte{0x81, 0x85}, 1)
	out = append(out, badVector("manifest/extent-short", kind, "an extent of five fields", CodeMalformed, short[:len(short)-2]))
	return append(out, spoiltVectors(kind, encoded((&Manifest{}).Encode()), nil)...)
}

func (w *world) pageVectors() []vector {
	good := encoded((&Page{Depth: 1, Extents: []Extent{w.extent()}}).Encode())
	return []vector{
		okVector("page/plain", "page", "a page of one extent, which is a page again", good),
		badVector("page/as-manifest", "manifest", "a page where a manifest belongs", CodeMalformed, good),
		badVector("page/version-2", "page", "of a later version", CodeVersion, mapOf(set(pairsOf(good), "v", 2)...)),
		badVector("page/depth", "page", "deeper than 3", CodeMalformed, mapOf(set(pairsOf(good), "depth", 4)...)),
	}
}

func (w *world) targetVectors() []vector {
	hints := [][]byte{w.address(0).Bytes(), w.address(1).Bytes()}
	full := encoded((&Target{Extent: w.extent(), Hints: hints}).Encode())
	bare := encoded((&Target{Extent: w.extent()}).Encode())
	dirty := bytes.Clone(bare)
	dirty[TargetSize-1] = 1
	cbor := bytes.TrimRight(bare, "\x00")
	later := append(mapOf(set(pairsOf(cbor), "v", 2)...), make([]byte, TargetSize-len(cbor))...)
	return []vector{
		okVector("target/bare", "target", "a manifest's extent, no hints", bare),
		okVector("target/hints", "target", "a manifest's extent and two hints", full).with("hint0", w.address(0)).with("hint1", w.address(1)),
		badVector("target/short", "target", "one byte less than 1,024", CodeMalformed, bare[1:]),
		badVector("target/dirty", "target", "not zero-filled", CodeMalformed, dirty),
		badVector("target/version-2", "target", "of a later version", CodeVersion, later),
	}
}
