package protocol

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// A frame is one byte (a request's kind, a reply's status), three bytes of
// length, big-endian, and that many bytes of CBOR. Shard bytes follow raw.
const (
	frameHeader = 4
	statusOK    = 0
	statusError = 1

	// firstWrite is how much of the raw bytes is sent with the frame in one
	// write: each small write would be a packet and an encrypted record of its own.
	firstWrite = 64 << 10

	// writeStep and the header of 12 bytes fill one frame of libp2p's muxer: of 256
	// KiB the last 12 bytes would cost another frame, record and system call.
	writeStep = 256<<10 - 12

	// firstRead is how much memory an announced message gets before any of its
	// bytes have come.
	firstRead = 4 << 10
)

// MinRate is the least rate, in bytes a second, at which a peer must send or take
// bytes, after a grace (SPEC.md, Streams). A slower peer is cut off.
const MinRate = 16 << 10

// Time limits of an exchange.
const (
	grace       = 10 * time.Second
	idleTimeout = 2 * time.Minute

	// stallTimeout is how long a peer may take nothing of a writeStep: a
	// stopped peer is noticed long before a slow one is cut off.
	stallTimeout = 20 * time.Second

	// lastWord is how long a reply is awaited from a peer that stopped reading a
	// request: it may have refused before it stopped.
	lastWord = 2 * time.Second
)

// maxLinger is how many bytes are read and dropped after a refusal that ends
// the stream: the greatest frame, and a shard behind it.
const maxLinger = 1<<24 + MaxShardSize

// TransferTime is how long a peer may take to send n bytes, at the least rate that
// SPEC.md, Streams, tolerates.
func TransferTime(n int64) time.Duration {
	return grace + time.Duration(n)*time.Second/MinRate
}

// refusal is how an Error crosses the wire.
type refusal struct {
	Code Code   `cbor:"code"`
	Text string `cbor:"text"`
}

func (*refusal) MaxLen() int { return maxSmall }

func (r *refusal) Validate() error {
	if r.Code < 1 || r.Code > MaxInt {
		return malformed("refusal", "code %d", uint64(r.Code))
	}
	if len(r.Text) > MaxErrorText {
		return malformed("refusal", "text of %d bytes", len(r.Text))
	}
	return nil
}

// encodeMessage returns a message's CBOR, within its greatest length.
func encodeMessage(m Message) ([]byte, error) {
	body, err := Encode(m)
	if err == nil && len(body) > m.MaxLen() {
		err = malformed("frame", "%T of %d bytes", m, len(body))
	}
	return body, err
}

// writeMessage sends a message in a frame, and raw behind it.
func writeMessage(w Stream, first byte, m Message, raw []byte) error {
	body, err := encodeMessage(m)
	if err != nil {
		return err
	}
	return writeFrame(w, first, body, raw)
}

// writeFrame sends one frame, and raw behind it, in few writes. A peer that takes
// nothing for stallTimeout is given up.
func writeFrame(w Stream, first byte, body, raw []byte) error {
	head := min(len(raw), firstWrite)
	buf := make([]byte, frameHeader, frameHeader+len(body)+head)
	binary.BigEndian.PutUint32(buf, uint32(len(body)))
	buf[0] = first
	buf = append(append(buf, body...), raw[:head]...)
	err := writeInTime(w, buf)
	for rest := raw[head:]; err == nil && len(rest) > 0; {
		n := min(len(rest), writeStep)
		err = writeInTime(w, rest[:n])
		rest = rest[n:]
	}
	return err
}

func writeInTime(w Stream, b []byte) error {
	if err := w.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// readHeader reads a frame's first byte and its body's length.
func readHeader(r io.Reader) (first byte, n int, err error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, 0, err
	}
	first = h[0]
	h[0] = 0
	return first, int(binary.BigEndian.Uint32(h[:])), nil
}

// readMessage reads and checks a frame's body of n bytes.
func readMessage(r io.Reader, n int, m Message) error {
	if n > m.MaxLen() {
		return malformed("frame", "%T of %d bytes", m, n)
	}
	b, err := readBody(r, n)
	if err != nil {
		return fmt.Errorf("read %T: %w", m, err)
	}
	return ParseMessage(b, m)
}

// readBody reads n bytes into memory that grows as they come, because a peer can
// announce a long message on each of thousands of streams for nothing.
func readBody(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, min(n, firstRead))
	for have := 0; ; {
		if _, err := io.ReadFull(r, b[have:]); err != nil {
			return nil, err
		}
		if have = len(b); have == n {
			return b, nil
		}
		b = append(b, make([]byte, min(have, n-have))...)
	}
}

// ParseMessage decodes and validates one message.
func ParseMessage(b []byte, m Message) error {
	if len(b) > m.MaxLen() {
		return malformed("message", "%T of %d bytes", m, len(b))
	}
	decode := Decode
	switch m.(type) {
	case *InfoRequest, *InfoReply:
		decode = decodeOpen
	}
	if err := decode("message", b, m); err != nil {
		return err
	}
	return m.Validate()
}

// newRequest returns an empty request of a kind, or nil for an unknown one.
func newRequest(k Kind) Request {
	switch k {
	case KindInfo:
		return new(InfoRequest)
	case KindForm:
		return new(FormRequest)
	case KindPut:
		return new(PutRequest)
	case KindGet:
		return new(GetRequest)
	case KindHave:
		return new(HaveRequest)
	case KindMembers:
		return new(MembersRequest)
	case KindFacts:
		return new(FactsRequest)
	case KindAudit:
		return new(AuditRequest)
	case KindReveal:
		return new(RevealRequest)
	case KindBeat:
		return new(BeatRequest)
	case KindNominate:
		return new(NominateRequest)
	case KindEnter:
		return new(EnterRequest)
	case KindMend:
		return new(MendRequest)
	}
	return nil
}
