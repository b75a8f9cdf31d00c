// Package p2p carries the protocol over libp2p and finds peers with a Kademlia
// DHT: it is the protocol.Network of real nodes and clients, and the only
// package that starts libp2p or the DHT.
//
// It carries streams and knows nothing of what is said on them, nor of groups,
// shards or keys of owners. The norm is protocol/SPEC.md, sections Finding and
// Dialling.
//
// A Host is made by New. Nodes run a DHT server and listen; clients have a
// fresh identity and only ask: they listen only where holders may be behind
// NATs, and tell nobody. Bulk goes over TCP and TLS, which costs a third of
// QUIC's CPU; QUIC is dialled where TCP does not answer.
//
// Addresses that other peers tell are hints. Once the network is public, that
// is, once a peer has been seen at a public address, hints into private ranges
// are not dialled, and others at most a few times a minute per prefix.
//
// Whether others can dial a node is judged in reach.go and told to libp2p by
// reachwatch.go, so that the DHT's mode, relays and addresses follow;
// relay.go, punch.go and portmap.go are the ways through a NAT
// (docs/decisions/0008).
package p2p
