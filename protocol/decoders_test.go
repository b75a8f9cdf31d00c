package protocol

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
)

// decoder reads bytes and returns the encoding of what it has read.
type decoder func([]byte) ([]byte, error)

// isOpen reports whether later versions may add fields to a kind: what is read of
// these need not encode to the same bytes.
func isOpen(kind string, b []byte) bool {
	return kind == "info request" || kind == "info reply" ||
		kind == "request frame" && len(b) > 0 && Kind(b[0]) == KindInfo
}

// decoders is every decoder of the package, by the kind that vectors name.
func (w *world) decoders() map[string]decoder {
	m := w.recordDecoders()
	m["manifest"] = func(b []byte) ([]byte, error) {
		v, err := ParseManifest(b)
		if err != nil {
			return nil, err
		}
		return v.Encode()
	}
	m["page"] = func(b []byte) ([]byte, error) {
		v, err := ParsePage(b)
		if err != nil {
			return nil, err
		}
		return v.Encode()
	}
	m["target"] = func(b []byte) ([]byte, error) {
		v, err := ParseTarget(b)
		if err != nil {
			return nil, err
		}
		return v.Encode()
	}
	m["hint"] = func(b []byte) ([]byte, error) {
		v, err := ParseHint(b)
		if err != nil {
			return nil, err
		}
		return v.Bytes(), nil
	}
	m["link"] = decodeLink
	m["invitation"] = decodeInvitation
	m["request frame"] = decodeRequestFrame
	for name, fresh := range messages {
		m[name] = func(b []byte) ([]byte, error) {
			v := fresh()
			if err := ParseMessage(b, v); err != nil {
				return nil, err
			}
			return Encode(v)
		}
	}
	return m
}

func (w *world) recordDecoders() map[string]decoder {
	return map[string]decoder{
		"descriptor": func(b []byte) ([]byte, error) {
			v, err := ParseDescriptor(b)
			if err != nil {
				return nil, err
			}
			again, _ := v.Encode()
			return again, nil
		},
		"group record": func(b []byte) ([]byte, error) {
			v, _, err := ParseGroupRecord(vectorNetwork, b)
			if err != nil {
				return nil, err
			}
			again, _ := v.Encode()
			return again, nil
		},
		"table":   func(b []byte) ([]byte, error) { return reopened(b)(OpenTable(w.record, w.group, b)) },
		"grant":   func(b []byte) ([]byte, error) { return reopened(b)(OpenGrant(w.record, w.group, b)) },
		"delete":  func(b []byte) ([]byte, error) { return reopened(b)(OpenDelete(w.record, w.group, b)) },
		"renewal": func(b []byte) ([]byte, error) { return reopened(b)(OpenRenewal(w.record, w.group, b)) },
		"handover": func(b []byte) ([]byte, error) {
			return reopened(b)(OpenHandover(vectorNetwork, w.group, w.ids[2], b))
		},
		"pointer": func(b []byte) ([]byte, error) { return reopened(b)(OpenPointer(vectorNetwork, b)) },
		"read proof": func(b []byte) ([]byte, error) {
			err := CheckRead(vectorNetwork, w.segment, w.desc, w.ids[0], b)
			return reopened(b)(new(readProof), err)
		},
		"group proof": func(b []byte) ([]byte, error) {
			err := CheckList(w.record, w.group, w.ids[0], b)
			return reopened(b)(new(groupProof), err)
		},
		"peer record": func(b []byte) ([]byte, error) {
			_, err := Envelope(b).Open() // it compares with the encoding itself
			return b, err
		},
	}
}

// reopened encodes a signed thing again, with the signature from b.
func reopened(b []byte) func(body any, err error) ([]byte, error) {
	return func(body any, err error) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		var s signed
		if err := Decode("signed", b, &s); err != nil {
			return nil, err
		}
		switch body.(type) {
		case *readProof, *groupProof:
			err = Decode("signed", s.Body, body)
		}
		s.Body = mustEncode(body)
		return mustEncode(s), err
	}
}

func decodeLink(b []byte) ([]byte, error) {
	l, err := ParseLink(string(b))
	if err != nil {
		return nil, err
	}
	text, err := l.Text()
	if payloadOf(text) == payloadOf(string(b)) {
		return b, err
	}
	return []byte(text), err
}

func decodeInvitation(b []byte) ([]byte, error) {
	i, err := ParseInvitation(string(b))
	if err != nil {
		return nil, err
	}
	text, err := i.Text()
	if payloadOf(text) == payloadOf(string(b)) {
		return b, err
	}
	return []byte(text), err
}

// payloadOf returns the bytes in a link or an invitation, which may follow a
// gateway's address and have line breaks.
func payloadOf(text string) string {
	text = strings.TrimSpace(text)
	if i := strings.IndexAny(text, "#"); i >= 0 && strings.HasPrefix(text, "https://") {
		text = text[i+1:]
	} else if _, after, ok := strings.Cut(text, ":"); ok {
		text = after
	}
	b, _ := base64.RawURLEncoding.Strict().DecodeString(text)
	return string(b)
}

// decodeRequestFrame reads one request with its frame, and nothing behind it.
func decodeRequestFrame(b []byte) ([]byte, error) {
	r := bytes.NewReader(b)
	first, n, err := readHeader(r)
	if err != nil {
		return nil, malformed("frame", "%v", err)
	}
	req := newRequest(Kind(first))
	if req == nil {
		return nil, Refuse(CodeVersion, "kind %d", first)
	}
	if err := readMessage(r, n, req); err != nil {
		if told(err) {
			return nil, err
		}
		return nil, malformed("frame", "%v", err)
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		return nil, malformed("frame", "%d bytes too many", len(rest))
	}
	body, err := encodeMessage(req)
	if err != nil {
		return nil, err
	}
	return frameOf(first, body), nil
}

// frameOf writes a frame as SPEC.md says, independently of the code under test.
func frameOf(first byte, body []byte) []byte {
	n := len(body)
	return append([]byte{first, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// messages makes an empty message of each kind that vectors name.
var messages = map[string]func() Message{
	"info request":    func() Message { return new(InfoRequest) },
	"info reply":      func() Message { return new(InfoReply) },
	"form request":    func() Message { return new(FormRequest) },
	"form reply":      func() Message { return new(FormReply) },
	"put request":     func() Message { return new(PutRequest) },
	"put reply":       func() Message { return new(PutReply) },
	"get request":     func() Message { return new(GetRequest) },
	"get reply":       func() Message { return new(GetReply) },
	"have request":    func() Message { return new(HaveRequest) },
	"have reply":      func() Message { return new(HaveReply) },
	"members request": func() Message { return new(MembersRequest) },
	"members reply":   func() Message { return new(MembersReply) },
	"facts request":   func() Message { return new(FactsRequest) },
	"facts reply":     func() Message { return new(FactsReply) },
	"refusal":         func() Message { return new(refusal) },

	"audit request":    func() Message { return new(AuditRequest) },
	"audit reply":      func() Message { return new(AuditReply) },
	"reveal request":   func() Message { return new(RevealRequest) },
	"reveal reply":     func() Message { return new(RevealReply) },
	"beat request":     func() Message { return new(BeatRequest) },
	"beat reply":       func() Message { return new(BeatReply) },
	"nominate request": func() Message { return new(NominateRequest) },
	"nominate reply":   func() Message { return new(NominateReply) },
	"enter request":    func() Message { return new(EnterRequest) },
	"enter reply":      func() Message { return new(EnterReply) },
	"mend request":     func() Message { return new(MendRequest) },
	"mend reply":       func() Message { return new(GetReply) },
}
