// Package integration tests the whole: real cairn processes on loopback, from
// a put to the bytes coming back, with what is said to people and to programs,
// and with nodes that die, hang or lie. It also holds the policy of imports.
//
// It has no code besides tests. What each part must do alone is tested next to
// that part; the norm is protocol/SPEC.md and docs/json.md.
package integration
