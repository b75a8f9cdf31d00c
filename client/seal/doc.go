// Package seal makes keys and seals bytes under them: the owner's derivations,
// the STREAM of AES-256-GCM parts that every extent is, the payload of a
// pointer, and local files under a passphrase. It is the only package of the
// project that imports a cipher.
//
// It knows nothing of segments, manifests, peers or disks and imports nothing
// of this module. Randomness is passed in.
//
// The norm is protocol/SPEC.md, "Keys and sealing"; vectors for other
// implementations lie in testdata.
//
// A trap of package fmt: methods of unexported fields are never called, so a
// struct that keeps a [Key] or [Master] by value in an unexported field prints
// its bytes. Keep it there behind a pointer, or give the struct a Format of its
// own. Slices of a key (k[:]) and Ed25519 private keys are plain bytes to
// every printer.
package seal
