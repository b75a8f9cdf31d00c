// Package gate bounds what may be under way at once in a node: streams, requests
// and bytes of shards in memory, of all, of each address prefix and of each peer;
// and how often a group is read from the disk for somebody.
// Who is slow yields to others when memory is short.
package gate
