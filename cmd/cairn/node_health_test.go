package main

import (
	"strings"
	"testing"

	"github.com/cairnstore/cairn/node"
)

// A group that cannot be read is never shown as well: it comes first, in capitals,
// and sets the exit status.
func TestNodeHealthText(t *testing.T) {
	r := &nodeHealthResult{CutOff: true, Groups: []node.GroupHealth{
		{Group: "aaaaaaaaaa", K: 4, R: 9, N: 14, Lease: "alive", State: node.StateWell, Segments: 2, States: node.States{Well: 2}, Proved: 14, Needed: 4, Readable: true, Reachable: 14, Domains: 14, AfterWorst5: 9},
		{Group: "bbbbbbbbbb", K: 4, R: 9, N: 14, Lease: "frozen", State: node.StateLazy, Segments: 2, States: node.States{Well: 1, Lazy: 1, Thin: 1}, Proved: 9, Needed: 4, Readable: true, Reachable: 8, Domains: 8, AfterWorst5: 3},
		{Group: "cccccccccc", K: 4, R: 9, N: 14, Lease: "alive", State: node.StateUrgent, Segments: 1, States: node.States{Urgent: 1}, Proved: 9, Needed: 4, Reachable: 3, Domains: 3},
		{Group: "dddddddddd", K: 4, R: 9, N: 14, Lease: "alive", State: node.StateBeyond, Segments: 3, States: node.States{Well: 2, Beyond: 1}, Proved: 2, Unproved: 1, Needed: 4, Reachable: 2, Domains: 2},
		{Group: "eeeeeeeeee", K: 1, R: 1, N: 1, Lease: "alive", State: node.StateEmpty, Readable: true},
	}}
	for _, g := range r.Groups {
		r.States.AddGroup(g.States)
	}
	want := []string{
		"GROUP PROFILE SEGMENTS STATE PROVED UNCLEAR REACHABLE NEEDED DOMAINS IF THE 5 WORST LEAVE",
		"dddddddd 4/9/14 3 BEYOND REPAIR 2 1 2 4 2 0",
		"cccccccc 4/9/14 1 urgent, UNREADABLE NOW 9 0 3 4 3 0",
		"bbbbbbbb 4/9/14 2 lazy, thin, frozen 9 0 8 4 8 3",
		"aaaaaaaa 4/9/14 2 well 14 0 14 4 14 9",
		"eeeeeeee 1/1/1 0 empty - - - - - -",
		"5 groups; 1 beyond repair; 1 urgent; 1 to be repaired; 1 of these thin: nobody is known who would take what is missing; 1 well",
		"most neighbours do not answer: this node may be the one that is cut off, and repairs nothing till it knows",
	}
	got := strings.Split(strings.TrimSpace(nodeHealthText(r, false)), "\n")
	for i := range got {
		got[i] = strings.Join(strings.Fields(got[i]), " ")
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("it says\n%s", strings.Join(got, "\n"))
	}
	if err := nodeHealthVerdict(r); statusOf(err) != statusTooFew || !strings.Contains(err.Error(), "of 2 groups fewer holders answer") {
		t.Errorf("verdict: %v", err)
	}
	r.Groups = r.Groups[:2]
	if err := nodeHealthVerdict(r); err != nil {
		t.Errorf("verdict on groups that can be read: %v", err)
	}
}

// The table has what a holder says of itself, and which slots are vacant.
func TestHoldersText(t *testing.T) {
	g := &node.GroupHealth{Holders: []node.SlotHolder{
		{Slot: 0, Peer: "12D3KooWGs9twXY4zagcbzXxQYG5pa9Bsb2BKT6C2Yv6kxXyEUNY", Self: true, State: "present", Proved: true, Domain: "a", Lacks: 1},
		{Slot: 1},
		{Slot: 2, Peer: "12D3KooWRSoKJEkYKQY8HCPc7nsdHr4aTThn4PN64pVxeRgMGg7M", State: "away", Failed: 2, Domain: "b", Lacks: 3, Draining: true},
	}}
	for _, want := range []string{"this node", "vacant", "lacks 1 segment", "away", "not lately", "lacks 3 segments, leaving"} {
		if text := holdersText(g); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
