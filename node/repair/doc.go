// Package repair decides which segments a node repairs now, in what order, and
// how many of them its donor's bandwidth allows.
//
// Package group assesses a segment's health (Tally, Assess). This package adds whose
// turn it is, what is left undone and why, and the batch. All of it is pure:
// clocks, views and budgets are passed in; nothing is remembered from one call to
// the next, so that work for a holder that came back drops out by itself. A node
// asks again when something changed, and after each batch.
//
// Nothing here allocates. A segment that needs nothing costs an Assess, some
// nanoseconds; one that needs repair costs a hash besides, some 150 ns, and some
// nanoseconds a member. The norm is
// protocol/SPEC.md, Health and repair.
package repair
