package protocol

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"

	"github.com/cairnstore/cairn/lab/fuzz"
)

// fuzzSigned feeds a decoder of something signed with bytes as they are, and with the
// same bytes as a body that is signed well: otherwise the signature would hide from
// the fuzzer whether what the decoder accepts is in canonical form. A body that is
// refused for more than its missing signature is not signed, because signing and
// verifying take twenty times as long as all the rest.
func fuzzSigned(f *testing.F, kind string, keyOf func(*world) ed25519.PrivateKey) {
	w := newWorld(f)
	seed(f, func(v vector) []byte { return v.input() }, kind)
	seed(f, func(v vector) []byte {
		var s signed
		if Decode(kind, v.input(), &s) != nil {
			return nil
		}
		return s.Body
	}, kind)
	decode, key := w.decoders()[kind], keyOf(w)
	none := bytes.Repeat([]byte{0xff}, ed25519.SignatureSize)
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		_ = checkDecoder(t, kind, decode, b)
		err := checkDecoder(t, kind, decode, mustEncode(signed{b, none}))
		if err == nil {
			t.Fatalf("%s: taken unsigned", kind)
		}
		if CodeOf(err) == CodeDenied {
			t.Accepted()
			_ = checkDecoder(t, kind, decode, signBody(key, b))
		}
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

// FuzzEnvelope reads peer records, signed and unsigned, and the same bytes as the
// payload of a signed envelope.
func FuzzEnvelope(f *testing.F) {
	const kind = "peer record"
	w := newWorld(f)
	seed(f, func(v vector) []byte { return v.input() }, kind)
	seed(f, func(v vector) []byte {
		env, err := record.UnmarshalEnvelope(v.input())
		if err != nil {
			return nil
		}
		return env.RawPayload
	}, kind)
	decode := w.decoders()[kind]
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		checkEnvelope(t, decode, b)
		var rec peer.PeerRecord
		if rec.UnmarshalRecord(b) != nil {
			return // Open would refuse it, too, and the signature takes long to make
		}
		env, err := record.Seal(&verbatim{&rec, b}, w.peers[0])
		if err != nil {
			t.Fatal(err)
		}
		checkEnvelope(t, decode, encoded(env.Marshal()))
	})
}

// verbatim is a peer record whose encoding is given.
type verbatim struct {
	*peer.PeerRecord
	raw []byte
}

func (v *verbatim) MarshalRecord() ([]byte, error) { return v.raw, nil }

// checkEnvelope checks that Unverified reads everything that Open reads.
func checkEnvelope(t *fuzz.T, decode decoder, b []byte) {
	refused := checkDecoder(t, "peer record", decode, b)
	var err error
	t.Frugal(uint64(1<<20+64*len(b)), func() { _, err = Envelope(b).Unverified() })
	if err != nil && (refused == nil || !errors.Is(err, ErrMalformed)) {
		t.Fatalf("unverified: %v, verified: %v", err, refused)
	}
}

// A fact is accepted only by the decoder of its kind, and sets only its field.
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
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		if len(b) == 0 {
			return
		}
		fact := Fact{Kind: FactKind(b[0]), Bytes: b[1:]}
		var o Opened
		var err error
		t.Frugal(uint64(1<<20+64*len(b)), func() { o, err = OpenFact(w.record, w.group, fact) })
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

// fieldsOf returns the kinds whose fields are set.
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
