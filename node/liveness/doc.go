// Package liveness decides which of a node's neighbours live, when each is asked
// again, and when a node had better doubt itself.
//
// Every decision is a pure function of small values: what this node asked, which
// neighbour answered, and what the answer said of that neighbour itself. The package
// knows no clock, no random source, no stream and no disk; node and the tests
// that simulate years call the same functions. What one member says about another
// never enters.
//
// Moments are time.Durations on the node's own watch (see Watch): time for which
// this node ran and was not cut off. No step of the wall clock moves it, so none
// can make anyone gone. Nothing here allocates; a State costs some nanoseconds.
// The norm is protocol/SPEC.md, Liveness.
package liveness
