// Package node is the holder's side: it admits shards and facts, keeps them on
// the disk that its donor gives, serves them, and announces its groups.
//
// A request's way in: serve.go bounds what is under way, the file named after
// the message answers it (info.go, form.go, put.go, get.go, have.go,
// members.go, facts.go). What a node decides by: admission.go and caps.go (who
// may fill how much), merge.go (which facts count), both without I/O; package
// contract (what the donor's limits allow), which dealing.go asks and line.go
// and metered.go carry out. What it does on its own: announce.go, gossip.go,
// upkeep.go, drain.go; RunOnce is one round of all.
// What it makes of the other holders of its groups: neighbours.go (who lives),
// seats.go (who holds what, roll.go for the pure rules), lists.go and lacks.go
// (what they say that they lack), beat.go, audit.go; audit_answer.go, mend.go
// and lend.go are the other side of it. health.go weighs what segments need:
// repair.go, status, metrics and health_groups.go, the safety gauge, go by that.
//
// It sees ciphertext only and knows no cipher, no owner's key, no folder and
// nothing of package client. Nothing in it can lie: liars are wrappers in lab.
// The norm is protocol/SPEC.md; the disk is package storage's.
package node
