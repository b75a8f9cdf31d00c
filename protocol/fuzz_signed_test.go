package protocol

import (
	"bytes"
	"crypto/ed25519"
	"testing"
)

// fuzzSigned feeds a decoder of something signed with bytes as they are, and
// with the same bytes as a body that is signed well: else the signature would
// hide all that stands behind it from the fuzzer.
func fuzzSigned(f *testing.F, kind string, key func(*world) ed25519.PrivateKey) {
	w := newWorld(f)
	seed(f, func(v vector) []byte { return v.input() }, kind)
	seed(f, func(v vector) []byte {
		var s signed
		if Decode(kind, v.input(), &s) != nil {
			return nil
		}
		return s.Body
	}, kind)
	decode := w.decoders()[kind]
	f.Fuzz(func(t *testing.T, b []byte) {
		checkDecoder(t, kind, decode, b)
		checkDecoder(t, kind, decode, signBody(key(w), b))
	})
}

func ownerKey(w *world) ed25519.PrivateKey   { return w.owner }
func renewKey(w *world) ed25519.PrivateKey   { return w.renew }
func readKey(w *world) ed25519.PrivateKey    { return w.read }
func pointerKey(w *world) ed25519.PrivateKey { return w.pointer }
func holderKey(*world) ed25519.PrivateKey    { return seeded(seedPeer + 2) }

func FuzzTable(f *testing.F)      { fuzzSigned(f, "table", ownerKey) }
func FuzzGrant(f *testing.F)      { fuzzSigned(f, "grant", ownerKey) }
func FuzzDelete(f *testing.F)     { fuzzSigned(f, "delete", ownerKey) }
func FuzzRenewal(f *testing.F)    { fuzzSigned(f, "renewal", renewKey) }
func FuzzPointer(f *testing.F)    { fuzzSigned(f, "pointer", pointerKey) }
func FuzzReadProof(f *testing.F)  { fuzzSigned(f, "read proof", readKey) }
func FuzzGroupProof(f *testing.F) { fuzzSigned(f, "group proof", renewKey) }
func FuzzHandover(f *testing.F)   { fuzzSigned(f, "handover", holderKey) }

// A fact is taken by just the decoder of its kind, and sets just its field.
func FuzzFact(f *testing.F) {
	w := newWorld(f)
	kinds := map[string]FactKind{"group record": FactRecord, "table": FactTable, "peer record": FactEnvelope,
		"grant": FactGrant, "delete": FactDelete, "renewal": FactRenewal, "pointer": FactPointer}
	byKind := w.decoders()
	name := make(map[FactKind]string)
	for kind, k := range kinds {
		name[k] = kind
		seed(f, func(v vector) []byte { return append([]byte{byte(k)}, v.input()...) }, kind)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		fact := Fact{Kind: FactKind(b[0]), Bytes: b[1:]}
		o, err := OpenFact(w.record, w.group, fact)
		if err != nil {
			return
		}
		if got := fieldsOf(o); len(got) != 1 || got[0] != o.Kind {
			t.Fatalf("a fact of kind %d sets %v", fact.Kind, got)
		}
		if again, err := byKind[name[o.Kind]](fact.Bytes); err != nil || !bytes.Equal(again, fact.Bytes) {
			t.Fatalf("its own decoder reads %x: %v", again, err)
		}
	})
}

// fieldsOf returns the kinds whose field is set.
func fieldsOf(o Opened) (out []FactKind) {
	for k, set := range map[FactKind]bool{FactRecord: o.Record != nil, FactTable: o.Table != nil,
		FactEnvelope: o.Envelope != nil, FactGrant: o.Grant != nil, FactDelete: o.Delete != nil,
		FactRenewal: o.Renewal != nil, FactPointer: o.Pointer != nil} {
		if set {
			out = append(out, k)
		}
	}
	return out
}
