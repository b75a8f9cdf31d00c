// Package gate bounds what may be under way at once in a node: streams, requests
// and bytes of shards in memory, in all, for each address prefix and for each peer;
// and how often each may make the node read a group from the disk.
// A peer that is slow yields to others when memory is short.
package gate
