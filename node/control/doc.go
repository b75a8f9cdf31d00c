// Package control is the way into a running process of one home: a unix socket
// over which commands ask a node for its status or hand it a verb.
//
// Who may open the socket is whoever may read the home: the socket is its
// owner's only (0600), in a folder that is its owner's only. One request is
// one line of JSON, {"verb", "args"}; so is its reply, {"ok", "error",
// "result"}. The package knows no verb; docs/json.md names them.
package control
