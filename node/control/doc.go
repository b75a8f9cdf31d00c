// Package control is the way into a running process of one home: a unix socket
// over which commands ask a node for its status or hand it a verb.
//
// Whoever may read the home may open the socket: the socket belongs to one user
// (0600), in a folder that belongs to the same user. One request is
// one line of JSON, {"verb", "args"}; so is its reply, {"ok", "error",
// "result"}. The package knows no verb; docs/json.md names them.
package control
