// Package audit decides which member asks which holder to prove which shard, and
// when; which audits a holder owes to whom; and what its answers say of a holder.
//
// In each cycle one member audits each shard: the lot says which member, and when,
// so that nothing needs to be agreed upon. Besides, neighbours sample one another.
// A member judges a holder by its own audits only.
//
// All of it is pure: moments, random numbers and observations are passed in.
// Moments named now are on the node's watch (package liveness); cycles are the
// wall clock's, for all members must draw them alike, and a clock that is wrong
// only moves audits. Members are indexes into what package group keeps of a
// group. Nothing here allocates. The norm is
// protocol/SPEC.md, Audits.
package audit
