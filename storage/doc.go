// Package storage is one node's disk: the shards and facts that it keeps for
// others.
//
// It keeps what protocol names, and knows nothing of networks, keys, grants or
// leases: package node decides what may be stored, for how long, and whether
// bytes are the right ones. The contract is the comment on [Store]; its norm is
// protocol/SPEC.md, One node's disk, and its test is package storagetest.
//
// [Disk] keeps everything in append-only logs of self-describing records
// (record.go shows their layout), [Folder] is a Disk that may be unmounted and
// come back, [Memory] keeps everything in memory, [Disks] makes one store of
// several.
//
// A shard enters a Disk like this: commit.go gathers what callers bring, appends
// it to the active log (active.go) in one write, syncs it, and answers all of
// them. index.go notes where it lies, first in memory (table.go), then once a
// second in storage/kv. replay.go makes the index again from the logs; compact.go
// reclaims the space of deleted records.
package storage
