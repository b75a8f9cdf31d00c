package contract

import (
	"github.com/cairnstore/cairn/protocol"
)

// State is what a node keeps of its contract over restarts.
type State struct {
	Stance  Stance
	Account Account
}

const noteVersion = 1

// note is how a State is written down.
type note struct {
	V      int         `cbor:"v"`
	Months []monthNote `cbor:"months"` // the one charged last is last
	Away   []spanNote  `cbor:"away"`
	Paused int64       `cbor:"paused"`
	Drain  []drainNote `cbor:"drain"` // none, or one
}

type monthNote struct {
	Month       int   `cbor:"month"`
	ClientsUp   int64 `cbor:"clientsUp"`
	ClientsDown int64 `cbor:"clientsDown"`
	RepairUp    int64 `cbor:"repairUp"`
	RepairDown  int64 `cbor:"repairDown"`
}

type spanNote struct {
	From  int64 `cbor:"from"`
	Until int64 `cbor:"until"`
}

type drainNote struct {
	Since  int64 `cbor:"since"`
	Groups int   `cbor:"groups"`
	Bytes  int64 `cbor:"bytes"`
}

// Encode writes the state down, in at most 8 KiB.
func (s *State) Encode() ([]byte, error) {
	n := note{V: noteVersion, Months: []monthNote{}, Away: []spanNote{}, Paused: s.Stance.PausedUntil, Drain: []drainNote{}}
	for _, m := range s.Account.months {
		n.Months = append(n.Months, monthNote{int(m.Month), m.Up[Clients], m.Down[Clients], m.Up[Repair], m.Down[Repair]})
	}
	for _, a := range s.Stance.Away {
		n.Away = append(n.Away, spanNote(a))
	}
	if d := s.Stance.Drain; d != nil {
		n.Drain = append(n.Drain, drainNote(*d))
	}
	return protocol.Encode(n)
}

// Parse reads what Encode wrote. It refuses with CodeMalformed what no node
// would have written.
func Parse(b []byte) (*State, error) {
	var n note
	if err := protocol.Decode("contract", b, &n); err != nil {
		return nil, err
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	s := &State{Stance: Stance{PausedUntil: n.Paused}}
	for _, m := range n.Months {
		s.Account.months = append(s.Account.months, Spent{
			Month: Month(m.Month), Up: [Classes]int64{m.ClientsUp, m.RepairUp}, Down: [Classes]int64{m.ClientsDown, m.RepairDown},
		})
	}
	for _, a := range n.Away {
		s.Stance.Away = append(s.Stance.Away, Span(a))
	}
	if len(n.Drain) > 0 {
		d := Drain(n.Drain[0])
		s.Stance.Drain = &d
	}
	return s, nil
}

func (n *note) check() error {
	bad := n.V != noteVersion || len(n.Months) > maxMonths || len(n.Away) > maxSpans || len(n.Drain) > 1 || outside(n.Paused)
	for i, m := range n.Months {
		bad = bad || m.Month < 0 || m.Month > 12*9999 || outside(m.ClientsUp, m.ClientsDown, m.RepairUp, m.RepairDown)
		for _, o := range n.Months[:i] {
			bad = bad || o.Month == m.Month
		}
	}
	for _, a := range n.Away {
		bad = bad || outside(a.From, a.Until)
	}
	for _, d := range n.Drain {
		bad = bad || outside(d.Since, int64(d.Groups), d.Bytes)
	}
	if bad {
		return protocol.Refuse(protocol.CodeMalformed, "contract: a number is out of range")
	}
	return nil
}

// outside reports whether a number is below 0 or greater than protocol.MaxInt.
func outside(numbers ...int64) bool {
	for _, v := range numbers {
		if v < 0 || v > protocol.MaxInt {
			return true
		}
	}
	return false
}
