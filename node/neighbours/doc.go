// Package neighbours is what a node has itself seen of the peers that it shares
// groups with, and which of them it believes to hold which slot. What one peer says
// about another never enters.
//
// A Register knows peers (register.go) and, of each group, seats (seats.go): a
// peer at a slot, there by the owner's draw or by its own proof. What changes
// it: heard.go and beats.go (who answers), turns.go, spares.go and known.go (who
// asks for a slot, proves it and loses it), audits.go, outcomes.go and owed.go
// (what audits are due, their outcomes, and what this node owes to the audits of
// others), lacks.go (what holders say that they lack). What reads it:
// census.go (what they all tell about this node itself), view.go and roll.go, which
// copies one group for the rules of package group. It outlives a restart in the
// notes that save.go picks and note_*.go write.
//
// It keeps state and decides by packages liveness, audit and group; it asks
// nobody, and neither reads nor writes a disk. Package node's loops do.
package neighbours
