package protocol

// MaxBeatRenewals bounds the renewals of one Beat.
const MaxBeatRenewals = 16

// maxRenewal bounds the bytes of a renewal in a Beat.
const maxRenewal = 256

// Beat is what a node tells its neighbours about itself, and never about others.
type Beat struct {
	Clock          int64          `cbor:"clock"`          // Unix seconds
	AwayUntil      int64          `cbor:"awayUntil"`      // Unix seconds; 0: not away
	SuspendedUntil int64          `cbor:"suspendedUntil"` // Unix seconds until which its disk may be missing; 0: the disk is there
	Draining       bool           `cbor:"draining"`
	Renewals       []GroupRenewal `cbor:"renewals"` // the newest, of groups that both share; at most MaxBeatRenewals
}

// GroupRenewal is a group's newest renewal, which its renew key signed.
type GroupRenewal struct {
	Group   GroupID `cbor:"group"`
	Renewal []byte  `cbor:"renewal"` // what OpenRenewal opens
}

// BeatRequest is the asker's own state.
type BeatRequest struct{ Beat }

// BeatReply is the answering node's own state.
type BeatReply struct{ Beat }

// Kind returns KindBeat.
func (*BeatRequest) Kind() Kind { return KindBeat }

// MaxLen returns 4 KiB: every neighbour sends one several times a day.
func (*Beat) MaxLen() int { return maxBeat }

// Validate checks times, count and lengths.
func (m *Beat) Validate() error {
	for _, v := range []int64{m.Clock, m.AwayUntil, m.SuspendedUntil} {
		if err := inRange("beat", "time", v, MaxInt); err != nil {
			return err
		}
	}
	if len(m.Renewals) > MaxBeatRenewals {
		return malformed("beat", "%d renewals", len(m.Renewals))
	}
	for _, r := range m.Renewals {
		if len(r.Renewal) == 0 || len(r.Renewal) > maxRenewal {
			return malformed("beat", "renewal of %d bytes", len(r.Renewal))
		}
	}
	return nil
}
