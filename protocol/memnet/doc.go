// Package memnet carries protocol's streams in memory, with the faults of a
// real network: latency, jitter, limited rates, lost streams, partitions,
// peers that stop, hang or were never there, and a DHT that is silent or full
// of forged claims. It knows nothing of what is said on its streams; liars are
// wrappers that lab puts round a handler. The norm for what a network promises
// is [protocol.Network]; protocol/networktest holds it against this package
// and against the real one alike.
//
// All waiting is on timers and channels, so a whole network runs inside a
// testing/synctest bubble, where days pass in moments. Then make the Net, use
// it and close it inside that one bubble. Whatever chance decides follows from
// Config.Seed and, for each pair of peers, the number of the stream between
// them.
//
// Where it is kinder than a real network: a reset or a stopped process is noticed
// without keep-alives, the window grows again without a message, and the DHT
// is one table that no peer serves badly.
package memnet
