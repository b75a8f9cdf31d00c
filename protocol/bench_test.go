package protocol

import (
	"bytes"
	"context"
	"io"
	"testing"
)

// hotMessages are those that are sent with every shard.
func hotMessages(w *world) map[string]Message {
	wide := &Descriptor{V: Version, K: 20, N: 56, Size: MaxSegment, ShardSize: ShardSize(MaxSegment, 20), Roots: make([]Hash, 56), ReadKey: w.desc.ReadKey}
	desc, _ := wide.Encode()
	put := w.putRequest()
	put.Descriptor = desc
	return map[string]Message{
		"put request": put, "put reply": &PutReply{}, "get request": w.getRequest(), "get reply": &GetReply{Slot: 2, Length: MaxShardSize},
		"get reply with descriptor": &GetReply{Slot: 2, Length: MaxShardSize, Descriptor: desc},
	}
}

func BenchmarkEncode(b *testing.B) {
	w := newWorld(b)
	for name, m := range hotMessages(w) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = encoded(encodeMessage(m))
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	w := newWorld(b)
	for name, m := range hotMessages(w) {
		body := encoded(encodeMessage(m))
		fresh := map[string]func() Message{"put request": messages["put request"], "put reply": messages["put reply"],
			"get request": messages["get request"]}[name]
		if fresh == nil {
			fresh = messages["get reply"]
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if err := ParseMessage(body, fresh()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRecords opens what a holder opens with every put.
func BenchmarkRecords(b *testing.B) {
	w := newWorld(b)
	put := hotMessages(w)["put request"].(*PutRequest)
	read := SignRead(w.read, vectorNetwork, w.segment, w.ids[0])
	for name, open := range map[string]func() error{
		"group record": func() error { _, _, err := ParseGroupRecord(vectorNetwork, put.Record); return err },
		"descriptor":   func() error { _, err := ParseDescriptor(put.Descriptor); return err },
		"grant":        func() error { _, err := OpenGrant(w.record, w.group, put.Grant); return err },
		"read proof":   func() error { return CheckRead(vectorNetwork, w.segment, w.desc, w.ids[0], read) },
		"peer record":  func() error { _, err := w.envelope(0).Open(); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := open(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// drop takes shards and keeps nothing, so that only the protocol is measured.
type drop struct{ echo }

func (*drop) Put(_ context.Context, _ Remote, r *PutRequest, body io.Reader) (*PutReply, error) {
	_, err := io.CopyN(io.Discard, body, r.Length)
	return &PutReply{}, err
}

// BenchmarkServeGet sends whole shards from memory to a stream that costs nothing.
func BenchmarkServeGet(b *testing.B) {
	w := newWorld(b)
	frame := frameOf(byte(KindGet), mustEncode(w.getRequest()))
	h := &echo{shard: make([]byte, 1<<20)}
	b.ReportAllocs()
	b.SetBytes(int64(len(h.shard)))
	for b.Loop() {
		if err := serveOne(context.Background(), sink{script{in: bytes.NewReader(frame)}}.stream(), h); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkServePut takes whole shards from such a stream.
func BenchmarkServePut(b *testing.B) {
	w := newWorld(b)
	put := w.putRequest()
	put.Length = 1 << 20
	frame := append(frameOf(byte(KindPut), mustEncode(put)), make([]byte, put.Length)...)
	b.ReportAllocs()
	b.SetBytes(put.Length)
	for b.Loop() {
		if err := serveOne(context.Background(), sink{script{in: bytes.NewReader(frame)}}.stream(), &drop{}); err != nil {
			b.Fatal(err)
		}
	}
}

// sink is a script whose output goes nowhere.
type sink struct{ script }

func (s sink) stream() Stream               { return &s }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
