// Package node is the holder's side: it admits shards and facts, keeps them on
// the disk that its donor gives, serves them, announces its groups, and keeps
// them whole with the other holders while their owner is away.
//
// What it knows, and the rules by which it decides, are in packages of their own,
// which do no I/O and start nothing:
//
//	what is let in     contract (the donor's limits), line (the connection),
//	                   gate (what is under way), quota (who may fill how much)
//	what is held       truth (one group's facts and segments), note (what a
//	                   node writes down for itself)
//	the others         donors (which peers are nodes), neighbours (which of them
//	                   live and hold what), liveness, audit and repair (the rules)
//
// Here are the loops and the answers that use them. A request comes in by
// serve.go, and the file named after its message answers it: info.go, form.go,
// put.go, get.go, have.go, members.go, facts.go; beat.go, audit_answer.go, lend.go,
// nominate.go and enter.go for co-members. What a node does unasked: announce.go
// and gossip.go; beat.go, audit.go and exchange.go among co-members; health.go weighs
// what segments need, and repair.go and mend.go do it; upkeep.go, lease.go and
// scrub.go for what it holds; drain.go when it leaves. run.go starts all of it,
// and RunOnce is one round of each.
//
// It sees ciphertext only and knows no cipher, no owner's key, no folder and
// nothing of package client. Nothing in it can lie: liars are wrappers in lab.
// The norm is protocol/SPEC.md; the disk is package storage's.
package node
