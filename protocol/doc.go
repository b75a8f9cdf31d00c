// Package protocol is the language that the peers of a Cairn network speak:
// the records that are signed and hashed, the messages and their limits, and
// the two halves of a conversation, Caller (asks) and Serve (answers).
//
// It opens no file and no socket, knows no cipher and imports nothing else of
// this module. Streams come from implementations of [Network]: protocol/p2p over
// libp2p, protocol/memnet in memory.
//
// The specification is SPEC.md in this folder; comments cite its sections. Vectors
// for other implementations are in testdata.
package protocol
