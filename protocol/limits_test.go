package protocol

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// The greatest lengths of messages, in bytes, as SPEC.md gives them.
var limits = map[string]int{
	"info request": 16384, "info reply": 65536,
	"form request": 16384, "form reply": 16384,
	"put request": 16384, "put reply": 16384,
	"get request": 16384, "get reply": 16384,
	"have request": 262144, "have reply": 262144,
	"members request": 16384, "members reply": 262144,
	"facts request": 262144, "facts reply": 262144,
	"refusal": 16384,

	"audit request": 16384, "audit reply": 16384,
	"reveal request": 16384, "reveal reply": 16384,
	"beat request": 4096, "beat reply": 4096,
	"nominate request": 16384, "nominate reply": 16384,
	"enter request": 16384, "enter reply": 16384,
	"mend request": 16384, "mend reply": 16384,
}

// A byte over a message's limit is refused before the body is read; at the
// limit it is read and judged.
func TestMessageLimits(t *testing.T) {
	for kind, fresh := range messages {
		most, ok := limits[kind]
		if !ok || fresh().MaxLen() != most {
			t.Errorf("%s: at most %d bytes, not %d", kind, fresh().MaxLen(), most)
		}
		if err := readMessage(iotest.ErrReader(errors.New("it was read")), most+1, fresh()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: a byte too many: %v", kind, err)
		}
		body := bytes.NewReader(make([]byte, most))
		if err := readMessage(body, most, fresh()); !errors.Is(err, ErrMalformed) || body.Len() != 0 {
			t.Errorf("%s: at the limit: %v, %d bytes unread", kind, err, body.Len())
		}
		if err := ParseMessage(make([]byte, most+1), fresh()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: parsed over the limit: %v", kind, err)
		}
	}
	if len(limits) != len(messages) {
		t.Errorf("%d limits for %d messages", len(limits), len(messages))
	}
}

// What the specification allows in a message fits into its greatest length.
func TestFullMessagesFit(t *testing.T) {
	w := newWorld(t)
	wide := &Descriptor{V: Version, K: 26, N: MaxShards, Size: MaxSegment, ShardSize: ShardSize(MaxSegment, 26), Roots: make([]Hash, MaxShards), ReadKey: w.desc.ReadKey}
	desc, _ := wide.Encode()
	put := w.putRequest()
	put.Descriptor, put.Length = desc, MaxShardSize
	donors := make([]Envelope, MaxInfoDonors)
	members := make([]Member, MaxShards)
	for i := range donors {
		donors[i] = make(Envelope, MaxEnvelope)
	}
	for i := range members {
		members[i] = Member{i, make(Envelope, MaxEnvelope)}
	}
	info := w.infoReply()
	info.Donors = donors
	every := make([]int, Buckets)
	for i := range every {
		every[i] = i
	}
	digests := make([]byte, Buckets*32)
	full := fullBeat(w)
	nominate := w.nominateRequest()
	nominate.Table, nominate.Candidate = widestTable(w), make(Envelope, MaxEnvelope)
	results, lengths := make([]Code, MaxAuditShards), make([]int, MaxAuditShards)
	for i := range lengths {
		lengths[i] = MaxChunkSlice
	}
	for name, m := range map[string]Message{
		"put of the widest descriptor":   put,
		"get reply likewise":             &GetReply{Slot: 127, Length: MaxShardSize, Descriptor: desc},
		"info with all donors":           info,
		"members of the widest group":    &MembersReply{Record: w.recordBytes, Table: make([]byte, maxSigned), Members: members},
		"have of every segment":          &HaveRequest{Facts: every, Segments: every, Named: make([]SegmentID, MaxGroupSegments)},
		"have reply with every digest":   &HaveReply{FactDigests: digests, SegmentDigests: digests, Held: make([]bool, MaxGroupSegments)},
		"have reply with every segment":  &HaveReply{FactDigests: digests, SegmentDigests: digests, Segments: make([]SegmentID, MaxGroupSegments), SegmentsDone: Buckets},
		"facts wanted, a page of them":   &FactsRequest{Want: make([]Hash, MaxFactsPage)},
		"facts offered, a page of them":  &FactsRequest{Offer: page(Fact{FactGrant, w.grant()})},
		"facts reply, a page of results": &FactsReply{Results: make([]Code, MaxFactsPage)},
		"audit of 64 shards":             &AuditRequest{Shards: manyShards(MaxAuditShards)},
		"reveal of 64 chunks":            &RevealReply{results, lengths},
		"beat with 16 renewals":          &BeatRequest{full},
		"nominate for the widest group":  nominate,
	} {
		b, err := encodeMessage(m)
		if err == nil {
			err = ParseMessage(b, m)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func page(f Fact) []Fact {
	out := make([]Fact, MaxFactsPage)
	for i := range out {
		out[i] = f
	}
	return out
}

// widestTable is the table of the greatest group.
func widestTable(w *world) []byte {
	tb := &Table{newHead(kindTable, vectorNetwork), w.group, Profile{26, 50, MaxShards}, make([][]byte, MaxShards)}
	for i := range tb.Slots {
		tb.Slots[i] = []byte(w.ids[0])
	}
	return sign(w.owner, tb)
}

// A table of the greatest group is a fact and fits.
func TestWidestTable(t *testing.T) {
	if n := len(widestTable(newWorld(t))); n > MaxFact {
		t.Errorf("%d bytes, over %d", n, MaxFact)
	}
}

// fullBeat has as many renewals as are allowed, each of a network with the longest
// possible name.
func fullBeat(w *world) Beat {
	b := Beat{Clock: MaxInt, AwayUntil: MaxInt, SuspendedUntil: MaxInt, Draining: true}
	r := SignRenewal(w.renew, strings.Repeat("n", maxNetworkName), w.group, time.Unix(MaxInt, 0))
	for range MaxBeatRenewals {
		b.Renewals = append(b.Renewals, GroupRenewal{w.group, r})
	}
	return b
}

// Digests depend on the set, not on its order, and on every name in it.
func TestDigests(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	names := make([]Hash, 1000)
	for i := range names {
		for j := range names[i] {
			names[i][j] = byte(rng.Uint32())
		}
	}
	want := Digests(append([]Hash(nil), names...))
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	if !bytes.Equal(Digests(append([]Hash(nil), names...)), want) {
		t.Fatal("another order has other digests")
	}
	less := Digests(append([]Hash(nil), names[1:]...))
	for b := range Buckets {
		same := bytes.Equal(less[b*32:][:32], want[b*32:][:32])
		if same == (b == int(names[0][0])) {
			t.Fatalf("bucket %d, where a name of bucket %d is missing", b, names[0][0])
		}
	}
	if empty := Digests[SegmentID](nil); !bytes.Equal(empty, make([]byte, Buckets*32)) {
		t.Fatal("no names have digests")
	}
}

// A body is read as it comes, in however many pieces.
func TestReadMessageInPieces(t *testing.T) {
	w := newWorld(t)
	b := encoded(encodeMessage(w.putRequest()))
	for _, r := range []io.Reader{iotest.OneByteReader(bytes.NewReader(b)), iotest.DataErrReader(bytes.NewReader(b)), iotest.HalfReader(bytes.NewReader(b))} {
		if err := readMessage(r, len(b), new(PutRequest)); err != nil {
			t.Error(err)
		}
	}
}

// shy notes the longest piece that it was asked for.
type shy struct {
	io.Reader
	most int
}

func (s *shy) Read(b []byte) (int, error) {
	s.most = max(s.most, len(b))
	return s.Reader.Read(b)
}

func TestAnnouncedBytesTakeNoMemory(t *testing.T) {
	for _, n := range []int{0, 1, firstRead - 1, firstRead, firstRead + 1, 3*firstRead + 7, maxPage} {
		sent := make([]byte, n)
		for i := range sent {
			sent[i] = byte(i % 251)
		}
		got, err := readBody(bytes.NewReader(sent), n)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes: %v", n, err)
		}
		for _, came := range []int{0, 10, firstRead} {
			if came >= n {
				continue
			}
			r := &shy{Reader: bytes.NewReader(sent[:came])}
			if _, err := readBody(r, n); err == nil || r.most > firstRead {
				t.Errorf("%d of %d bytes came: %v, room for %d", came, n, err, r.most)
			}
		}
	}
}
