// Package neighbours is what a node has itself seen of the peers that it shares
// groups with, and whom it believes to hold which slot. Nobody's word about a
// third enters.
//
// A Register knows peers (register.go) and, of each group, seats (seats.go): a
// peer at a slot, there by the owner's draw or by its own proof. What changes
// it: heard.go and beats.go (who answers), turns.go, spares.go and known.go (who
// asks for a slot, proves it and loses it), audits.go, outcomes.go and owed.go
// (what audits are due, what they came to, and what this node owes to those of
// others), lacks.go (what holders say that they lack). What reads it:
// census.go (what they all say of this node itself), view.go and roll.go, which copies one group for the rules of package group. It
// outlives a restart in the notes that save.go picks and note_*.go write.
//
// It keeps state and decides by packages liveness, audit and group; it asks
// nobody, and neither reads nor writes a disk. Package node's loops do.
package neighbours
