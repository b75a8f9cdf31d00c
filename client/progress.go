package client

import (
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// PutProgress says how far a put is.
type PutProgress struct {
	Phase     string
	Read      int64 // bytes of the source
	Total     int64 // of them; -1: unknown
	Sent      int64 // shard bytes acknowledged
	SentTotal int64 // shard bytes to send in all, as far as known; -1: unknown
	Segments  int   // begun
	Safe      int   // of them
	Stored    int   // shards of the lowest safe segment
	Profile   protocol.Profile
}

func (p *putter) report() {
	if p.opt.Progress == nil {
		return
	}
	pr := PutProgress{
		Phase: p.phase, Read: p.read, Total: p.total, Sent: p.sent, SentTotal: -1,
		Segments: len(p.placed), Profile: p.group.profile, Stored: p.group.profile.N,
	}
	for _, f := range p.flights {
		_, _, stored := f.state()
		pr.Sent += int64(stored) * f.desc.ShardSize
	}
	for _, pl := range p.placed {
		if pl.isSafe {
			pr.Safe++
			pr.Stored = min(pr.Stored, max(pl.stored(), group.SafeAt(p.group.profile)))
		}
	}
	if p.total >= 0 {
		pr.SentTotal = p.total * int64(p.group.profile.N) / int64(p.group.profile.K)
	}
	p.opt.Progress(pr)
}
