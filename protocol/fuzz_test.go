package protocol

import (
	"bytes"
	"encoding/base64"
	"path/filepath"
	"testing"

	"github.com/cairnstore/cairn/lab/fuzz"
)

// fuzzDecoder checks one decoder for what the specification demands of all: what it
// accepts encodes to the same bytes, and it allocates in proportion to the bytes it
// is given, whatever lengths these announce.
func fuzzDecoder(f *testing.F, kind string) {
	w := newWorld(f)
	seed(f, func(v vector) []byte { return v.input() }, kind)
	decode := w.decoders()[kind]
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		if checkDecoder(t, kind, decode, b) == nil {
			t.Accepted()
		}
	})
}

// fuzzText feeds a decoder of text with text as it is, and with the bytes in such a
// text under a valid checksum: otherwise hardly any would get past the checksum.
func fuzzText(f *testing.F, kind, prefix string) {
	decode := newWorld(f).decoders()[kind]
	seed(f, func(v vector) []byte { return v.input() }, kind)
	seed(f, func(v vector) []byte {
		b := []byte(payloadOf(string(v.input())))
		return b[:max(0, len(b)-linkChecksum)]
	}, kind)
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		_ = checkDecoder(t, kind, decode, b)
		sum := Sum(b)
		text := base64.RawURLEncoding.EncodeToString(append(bytes.Clone(b), sum[:linkChecksum]...))
		if checkDecoder(t, kind, decode, []byte(prefix+text)) == nil {
			t.Accepted()
		}
	})
}

// seed adds the vectors of some kinds to a corpus.
func seed(f *testing.F, of func(vector) []byte, kinds ...string) {
	f.Helper()
	found := false
	for file := range vectorFiles {
		for _, v := range readVectors(f, filepath.Join("testdata", file)) {
			for _, k := range kinds {
				if v.kind == k {
					found = true
					f.Add(of(v))
				}
			}
		}
	}
	if !found {
		f.Fatalf("no vectors of %v", kinds)
	}
}

// checkDecoder returns why b was refused, or nil.
func checkDecoder(t *fuzz.T, kind string, decode decoder, b []byte) (refused error) {
	var again []byte
	var err error
	t.Frugal(uint64(1<<20+64*len(b)), func() { again, err = decode(b) })
	if err != nil {
		if !coded(err) {
			t.Fatalf("%s: %s", kind, expectation(err))
		}
		return err
	}
	if isOpen(kind, b) {
		b = again // ignored fields are gone; what is left has one form
		if again, err = decode(b); err != nil {
			t.Fatalf("%s: what it encodes to is refused: %v", kind, err)
		}
	}
	if !bytes.Equal(again, b) {
		t.Fatalf("%s: encodes to other bytes:\n%x\n%x", kind, b, again)
	}
	return nil
}

func FuzzDescriptor(f *testing.F)   { fuzzDecoder(f, "descriptor") }
func FuzzGroupRecord(f *testing.F)  { fuzzDecoder(f, "group record") }
func FuzzManifest(f *testing.F)     { fuzzDecoder(f, "manifest") }
func FuzzPage(f *testing.F)         { fuzzDecoder(f, "page") }
func FuzzTarget(f *testing.F)       { fuzzDecoder(f, "target") }
func FuzzHint(f *testing.F)         { fuzzDecoder(f, "hint") }
func FuzzLink(f *testing.F)         { fuzzText(f, "link", LinkPrefix) }
func FuzzInvitation(f *testing.F)   { fuzzText(f, "invitation", JoinPrefix) }
func FuzzRequestFrame(f *testing.F) { fuzzDecoder(f, "request frame") }

func FuzzInfoRequest(f *testing.F)    { fuzzDecoder(f, "info request") }
func FuzzInfoReply(f *testing.F)      { fuzzDecoder(f, "info reply") }
func FuzzFormRequest(f *testing.F)    { fuzzDecoder(f, "form request") }
func FuzzFormReply(f *testing.F)      { fuzzDecoder(f, "form reply") }
func FuzzPutRequest(f *testing.F)     { fuzzDecoder(f, "put request") }
func FuzzPutReply(f *testing.F)       { fuzzDecoder(f, "put reply") }
func FuzzGetRequest(f *testing.F)     { fuzzDecoder(f, "get request") }
func FuzzGetReply(f *testing.F)       { fuzzDecoder(f, "get reply") }
func FuzzHaveRequest(f *testing.F)    { fuzzDecoder(f, "have request") }
func FuzzHaveReply(f *testing.F)      { fuzzDecoder(f, "have reply") }
func FuzzMembersRequest(f *testing.F) { fuzzDecoder(f, "members request") }
func FuzzMembersReply(f *testing.F)   { fuzzDecoder(f, "members reply") }
func FuzzFactsRequest(f *testing.F)   { fuzzDecoder(f, "facts request") }
func FuzzFactsReply(f *testing.F)     { fuzzDecoder(f, "facts reply") }
func FuzzRefusal(f *testing.F)        { fuzzDecoder(f, "refusal") }

func FuzzAuditRequest(f *testing.F)    { fuzzDecoder(f, "audit request") }
func FuzzAuditReply(f *testing.F)      { fuzzDecoder(f, "audit reply") }
func FuzzRevealRequest(f *testing.F)   { fuzzDecoder(f, "reveal request") }
func FuzzRevealReply(f *testing.F)     { fuzzDecoder(f, "reveal reply") }
func FuzzBeatRequest(f *testing.F)     { fuzzDecoder(f, "beat request") }
func FuzzBeatReply(f *testing.F)       { fuzzDecoder(f, "beat reply") }
func FuzzNominateRequest(f *testing.F) { fuzzDecoder(f, "nominate request") }
func FuzzNominateReply(f *testing.F)   { fuzzDecoder(f, "nominate reply") }
func FuzzEnterRequest(f *testing.F)    { fuzzDecoder(f, "enter request") }
func FuzzEnterReply(f *testing.F)      { fuzzDecoder(f, "enter reply") }
func FuzzMendRequest(f *testing.F)     { fuzzDecoder(f, "mend request") }
