package protocol

import (
	"bytes"
	"path/filepath"
	"runtime/metrics"
	"testing"
)

// fuzzDecoder holds one decoder to what the norm asks of all: what it takes
// encodes to the same bytes, and it allocates in proportion to what it is
// given, whatever the bytes say of themselves.
func fuzzDecoder(f *testing.F, kind string) {
	w := newWorld(f)
	seed(f, func(v vector) []byte { return v.input() }, kind)
	decode := w.decoders()[kind]
	f.Fuzz(func(t *testing.T, b []byte) { checkDecoder(t, kind, decode, b) })
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

func checkDecoder(t *testing.T, kind string, decode decoder, b []byte) {
	var again []byte
	var err error
	frugal(t, uint64(1<<20+64*len(b)), func() { again, err = decode(b) })
	if err != nil {
		if got := expectation(err); got[0] < '0' || got[0] > '9' {
			t.Fatalf("%s: %s", kind, got)
		}
		return
	}
	if isOpen(kind, b) {
		b = again // what is ignored is gone; what is left is one form
		if again, err = decode(b); err != nil {
			t.Fatalf("%s: what it encodes to is refused: %v", kind, err)
		}
	}
	if !bytes.Equal(again, b) {
		t.Fatalf("%s: encodes to other bytes:\n%x\n%x", kind, b, again)
	}
}

// frugal runs f and fails where it allocates more than most bytes. What others
// have allocated is at times booked late, and counts along: the least of
// several runs counts.
func frugal(t *testing.T, most uint64, f func()) {
	t.Helper()
	var spent uint64
	for range 4 {
		before := allocated()
		f()
		if spent = allocated() - before; spent <= most {
			return
		}
	}
	t.Fatalf("it allocates %d bytes, more than %d", spent, most)
}

// allocated returns how many bytes this process has allocated so far, within
// what the runtime keeps back for speed.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func FuzzDescriptor(f *testing.F)   { fuzzDecoder(f, "descriptor") }
func FuzzGroupRecord(f *testing.F)  { fuzzDecoder(f, "group record") }
func FuzzEnvelope(f *testing.F)     { fuzzDecoder(f, "peer record") }
func FuzzManifest(f *testing.F)     { fuzzDecoder(f, "manifest") }
func FuzzPage(f *testing.F)         { fuzzDecoder(f, "page") }
func FuzzTarget(f *testing.F)       { fuzzDecoder(f, "target") }
func FuzzHint(f *testing.F)         { fuzzDecoder(f, "hint") }
func FuzzLink(f *testing.F)         { fuzzDecoder(f, "link") }
func FuzzInvitation(f *testing.F)   { fuzzDecoder(f, "invitation") }
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
