// Package client is the owner's side: it seals what it is given, codes it into
// segments, puts the shards on nodes that it draws itself, and reads them back.
//
// To store: put.go cuts the source into segments (sealed by client/seal, coded by
// storage/erasure), form.go draws the group, send.go brings the shards to their
// holders. To read: resolve.go opens a link, locate.go finds the holders, fetch.go
// races them, file.go opens the bytes.
//
// It knows nothing of folders and nothing of the holder's side
// (package node). What it says and writes is specified in protocol/SPEC.md.
package client
