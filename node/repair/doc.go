// Package repair decides which segments a node repairs now, in what order, and
// how many of them its donor's bandwidth bears.
//
// A segment's health is package group's (Tally, Assess). What is added here is
// whose turn it is, what is left undone and why, and the batch. All of it is pure:
// clocks, views and budgets are passed in; nothing is remembered from one call to
// the next, so that work for a holder who came back falls away by itself. A node
// asks again when something changed, and after each batch.
//
// Nothing here allocates. A segment that needs nothing costs an Assess, some
// nanoseconds; one that needs repair costs a hash besides, some 150 ns, and some
// nanoseconds a member. The norm is
// protocol/SPEC.md, Health and repair.
package repair
