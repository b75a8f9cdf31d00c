package protocol

import "context"

// What echo answers co-members.

var echoNonce = Half{7}

func (e *echo) Audit(_ context.Context, _ Remote, r *AuditRequest) (*AuditReply, error) {
	e.pending = r
	return &AuditReply{Nonce: echoNonce[:]}, nil
}

// Reveal proves the chunks of the shard that echo keeps, whatever shard is named,
// except for slot 9, which it does not have.
func (e *echo) Reveal(_ context.Context, _ Remote, r *RevealRequest) (*RevealReply, []byte, func(), error) {
	if e.pending == nil {
		return nil, nil, nil, Refuse(CodeNotFound, "no challenge")
	}
	if err := CheckCommit(e.pending.Commit, r.Secret); err != nil {
		return nil, nil, nil, err
	}
	var (
		m   RevealReply
		raw []byte
	)
	outboard, root := Outboard(e.shard)
	size := int64(len(e.shard))
	for _, s := range e.pending.Shards {
		if s.Slot == 9 || size == 0 {
			m.Results, m.Lengths = append(m.Results, CodeNotFound), append(m.Lengths, 0)
			continue
		}
		slice, err := cutChunk(e.shard, outboard, Challenge{r.Secret, echoNonce}.Chunk(s, size), root)
		if err != nil {
			return nil, nil, nil, err
		}
		m.Results, m.Lengths = append(m.Results, 0), append(m.Lengths, len(slice))
		raw = append(raw, slice...)
	}
	return &m, raw, func() { e.released++ }, nil
}

func (e *echo) Beat(_ context.Context, _ Remote, r *BeatRequest) (*BeatReply, error) {
	return &BeatReply{r.Beat}, nil
}

func (e *echo) Nominate(_ context.Context, _ Remote, r *NominateRequest) (*NominateReply, error) {
	if len(r.Candidate) > 0 {
		return &NominateReply{}, nil
	}
	return &NominateReply{Envelope: Envelope{1}, Until: 1}, nil
}

func (e *echo) Enter(_ context.Context, _ Remote, r *EnterRequest) (*EnterReply, error) {
	if r.Slot == 9 {
		return nil, Refuse(CodeDisputed, "slot 9 is held")
	}
	return &EnterReply{}, nil
}

func (e *echo) Mend(context.Context, Remote, *MendRequest) (*GetReply, []byte, func(), error) {
	return &GetReply{}, e.shard, func() { e.released++ }, nil
}
