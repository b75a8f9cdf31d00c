// Package group decides about groups: which profile a network allows, which
// nodes share a failure domain, in what order candidates are asked, who gets a
// slot, who announces, what is left when the worst happens; and, once the owner
// is away, which member a task falls to (Lot), which peers hold a slot by proof
// (Seats), what a segment needs (Tally, Assess), and for how long it is kept
// (Lease).
//
// Every decision is a pure function of small values. The package knows no
// stream, no disk, no clock and no random source but the one that it is
// handed, so that owners, holders and the tests that simulate years all decide
// alike. The norm is SPEC.md: Groups, and from Lots on.
package group
