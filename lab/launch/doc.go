// Package launch starts, watches, freezes and kills storage nodes that are
// processes of their own: the one launcher of the demo, the benchmark, the
// integration tests and the testnet.
//
// A Lab owns a folder; each node has a home in it. A node counts as started when
// it has printed its ready event (docs/json.md, node). No node outlives its Lab:
// Close kills what runs, and on Linux the kernel does so if the parent dies
// before that.
//
// It knows nothing of what nodes say to each other: it sees a program, its
// flags, its standard output and its exit status.
package launch
