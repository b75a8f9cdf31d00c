// Package group decides about groups: which profile a network allows, which
// nodes share a failure domain, in what order candidates are asked, who gets a
// slot, who announces, and what is left when the worst happens.
//
// Every decision is a pure function of small values. The package knows no
// stream, no disk, no clock and no random source but the one that it is
// handed, so that owners, holders, tests and the lab's simulator all decide
// alike. The norm is SPEC.md, Groups.
package group
