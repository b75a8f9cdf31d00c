// Package storage is one node's disk: the shards and facts that it keeps for
// others.
//
// It keeps what protocol names, and knows nothing of networks, keys, grants or
// leases: package node decides what may be stored, for how long, and whether
// bytes are the right ones. The contract stands at [Store]; protocol/SPEC.md,
// One node's disk, is its norm, and package storagetest its test.
//
// [Disk] keeps everything in append-only logs of self-describing records
// (record.go draws the bytes), [Folder] is one whose disk may go and come back,
// [Memory] keeps it in memory, [Disks] makes one store of several.
//
// The way of a shard into a Disk: commit.go takes what callers bring, writes
// it behind the active log (log.go) in one stretch, syncs it, and answers all
// of them. index.go notes where it lies, first in memory (table.go), once a
// second in storage/kv. replay.go makes the index again from the logs,
// compact.go gives the space of deleted records back.
package storage
