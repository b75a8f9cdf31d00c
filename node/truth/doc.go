// Package truth is what a node knows of one group: which facts count, whatever the
// order in which they come (merge.go), and which segments are held (shards.go).
// digests.go compares it with what others have. A Cache keeps the groups that are
// used; the store has all of it. Signatures are checked before anything is merged.
package truth
