// Package seal makes keys and seals bytes under them: the owner's derivations,
// the STREAM of AES-256-GCM parts that every extent is, the payload of a
// pointer, and local files under a passphrase. It is the only package of the
// project that imports a cipher.
//
// It knows nothing of segments, manifests, peers or disks and imports nothing
// of this module. Randomness is passed in.
//
// The specification is protocol/SPEC.md, "Keys and sealing"; vectors for other
// implementations are in testdata.
//
// A trap of package fmt: it calls no methods on unexported fields, so a struct
// that keeps a [Key] or [Master] in one prints its bytes; behind a pointer it
// still does for verbs like %s. Such a struct needs a Format of its own (as
// [Sealer] and [Opener] have). Slices of a key (k[:]) and Ed25519 private keys
// are plain bytes to every printer.
package seal
