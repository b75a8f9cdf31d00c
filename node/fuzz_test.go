package node

import (
	"bytes"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/fuzz"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// What a damaged disk may give back as facts and notes: nothing of it panics,
// and what is read is what would be written.
func FuzzStored(f *testing.F) {
	g := protocol.GroupID{1}
	on, err := originNote(g, quota.Source{}, epoch)
	if err != nil {
		f.Fatal(err)
	}
	n := bareNode()
	dn, _, err := n.deletionNote(g, protocol.SegmentID{2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(on.Kind, on.Bytes)
	f.Add(dn.Kind, dn.Bytes)
	nn, err := nominationNote(g, 3, idFor(1), epoch)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(nn.Kind, nn.Bytes)
	for kind, v := range map[uint8]any{
		note.Handover: given{By: []byte(idFor(1)), Since: 5, Handover: []byte("signed")},
		note.Handing:  handingNote{Successor: []byte(idFor(1)), Envelope: []byte("its record"), Since: 5, Stage: handingGiven},
		note.False:    verdict{protocol.SegmentID{9}},
	} {
		v, err := note.New(g, kind, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(v.Kind, v.Bytes)
	}
	key := newKey(seeded(f, 91))
	pub := protocol.PublicKeyOf(key)
	rec, id := protocol.NewGroupRecord(network, pub, pub, protocol.Hash{}, protocol.Nonce{}).Encode()
	f.Add(uint8(protocol.FactRecord), rec)
	f.Add(uint8(protocol.FactGrant), protocol.SignGrant(key, network, id, id[:], 1))
	f.Add(uint8(protocol.FactDelete), protocol.SignDelete(key, network, id, id[:16]))
	f.Add(uint8(protocol.FactRenewal), protocol.SignRenewal(key, network, id, epoch))
	fuzz.Run2(f, func(t *fuzz.T, kind uint8, b []byte) {
		t.Frugal(uint64(1<<20+200*len(b)), func() { readStored(t, g, kind, b) })
	})
}

// readStored reads a fact or note as a node does that starts, and as one that
// is asked for it.
func readStored(t testing.TB, g protocol.GroupID, kind uint8, b []byte) {
	n := bareNode()
	s := groupSurvey{deleted: make(map[protocol.SegmentID]bool)}
	n.surveyBytes(&s, storage.Fact{Kind: kind, Bytes: b})
	if src := quota.ParseSource(string(b[:min(len(b), 64)])); quota.ParseSource(src.Text()) != src {
		t.Fatalf("source %q reads back otherwise", src.Text())
	}
	o, err := openStored(network, protocol.Fact{Kind: protocol.FactKind(kind), Bytes: b})
	if err != nil || o.Record == nil {
		return
	}
	if again, _ := o.Record.Encode(); !bytes.Equal(again, b) {
		t.Fatal("a record reads back otherwise")
	}
}

// bareNode is the part of a node that reads its disk.
func bareNode() *Node {
	return &Node{cfg: Config{Network: network}, now: func() time.Time { return epoch },
		frees: newFrees(), handovers: newHandovers(), handings: newHandings(), verdicts: newVerdicts()}
}
