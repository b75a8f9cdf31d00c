// Package liveness decides who of a node's neighbours lives, when each is asked
// again, and when a node had better doubt itself.
//
// Every decision is a pure function of small values: what this node asked, who
// answered, and what the answer said of the answerer itself. The package knows
// no clock, no random source, no stream and no disk; node and the tests
// that simulate years call the same functions. No member's word about a third enters.
//
// Moments are time.Durations on the node's own watch (see Watch): time for which
// this node ran and was not cut off. No step of the wall clock moves it, so none
// can make anyone gone. Nothing here allocates; a State costs some nanoseconds.
// The norm is protocol/SPEC.md, Liveness.
package liveness
