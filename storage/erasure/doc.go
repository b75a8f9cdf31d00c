// Package erasure turns the k data shards of a segment into n shards, any k of
// which give it back.
//
// It knows nothing of keys, hashes, disks or peers, and imports nothing of ours.
// It does not notice a wrong shard: callers must verify every shard before they
// decode. The code is systematic Reed-Solomon over GF(2^8) in the form that
// protocol/SPEC.md, Segments, fixes by vectors: shard i < k is the i-th slice of
// the segment. It is the one importer of the Reed-Solomon library.
package erasure
