package seal

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// labelPrefix begins every HKDF label; its version changes with the format.
const labelPrefix = "cairn/v1/"

// purpose is what a derived key is for. One key, one purpose.
type purpose int

const (
	forRecovery purpose = iota
	forBundle
	forDriveRead
	forHead
	forGroupRoot
	forOwner
	forRenew
	forRead
	forPointer
	forPayload
	forCommitment
	forCipher
	purposes // how many there are
)

// labels is the one table of HKDF labels (SPEC.md, Keys and sealing).
var labels = [purposes]string{
	forRecovery:   labelPrefix + "recovery",
	forBundle:     labelPrefix + "bundle",
	forDriveRead:  labelPrefix + "drive-read",
	forHead:       labelPrefix + "head",
	forGroupRoot:  labelPrefix + "group-root",
	forOwner:      labelPrefix + "owner",
	forRenew:      labelPrefix + "renew",
	forRead:       labelPrefix + "read",
	forPointer:    labelPrefix + "pointer",
	forPayload:    labelPrefix + "payload",
	forCommitment: labelPrefix + "commitment",
	forCipher:     labelPrefix + "cipher",
}

// derive is HKDF-SHA-256(secret, salt or none, label), 32 bytes.
func derive(secret Key, salt []byte, p purpose) Key {
	b, err := hkdf.Key(sha256.New, secret[:], salt, labels[p], KeySize)
	if err != nil {
		// HKDF fails only for outputs over 8,160 bytes; ours are 32.
		panic("seal: derive: " + err.Error())
	}
	return Key(b)
}

// deriveSigner takes a derived key as an Ed25519 seed.
func deriveSigner(secret Key, salt []byte, p purpose) ed25519.PrivateKey {
	seed := derive(secret, salt, p)
	return ed25519.NewKeyFromSeed(seed[:])
}

// Recovery returns the key whose signature overrides every other of the owner's.
// Make it when it is needed and keep it nowhere.
func (m Master) Recovery() ed25519.PrivateKey {
	return deriveSigner(Key(m), nil, forRecovery)
}

// RecoveryCommitment returns the SHA-256 of the recovery public key (its 32
// raw bytes): what groups and heads commit to, without naming the key.
func (m Master) RecoveryCommitment() [sha256.Size]byte {
	return sha256.Sum256(m.Recovery().Public().(ed25519.PublicKey))
}

// Bundle is what a device keeps of one generation, instead of the master
// secret.
type Bundle struct {
	DriveRead Key // reads the drive
	Head      Key // a pointer seed: PointerKey(Head) writes the drive's head
	GroupRoot Key // the owner and renew keys of every group are derived from it
}

// Bundle derives the keys of a generation; the first is 0.
func (m Master) Bundle(generation uint32) Bundle {
	var salt [4]byte
	binary.BigEndian.PutUint32(salt[:], generation)
	root := derive(Key(m), salt[:], forBundle)
	return Bundle{
		DriveRead: derive(root, nil, forDriveRead),
		Head:      derive(root, nil, forHead),
		GroupRoot: derive(root, nil, forGroupRoot),
	}
}

// OwnerKey returns the key that signs the table, grants and deletes of the
// group whose record has nonce.
func (b Bundle) OwnerKey(nonce [16]byte) ed25519.PrivateKey {
	return deriveSigner(b.GroupRoot, nonce[:], forOwner)
}

// RenewKey returns the key that signs renewals of the group whose record has nonce;
// it can delete nothing.
func (b Bundle) RenewKey(nonce [16]byte) ed25519.PrivateKey {
	return deriveSigner(b.GroupRoot, nonce[:], forRenew)
}

// ReadKey returns the key that signs read proofs of a segment; its public half
// is in the segment's descriptor.
func ReadKey(segmentSecret Key) ed25519.PrivateKey {
	return deriveSigner(segmentSecret, nil, forRead)
}

// PointerKey returns the key that writes the pointer of a seed.
func PointerKey(seed Key) ed25519.PrivateKey {
	return deriveSigner(seed, nil, forPointer)
}

// PayloadKey returns the extent key for one version of a pointer's payload. The
// salt is in the pointer.
func PayloadKey(readSecret Key, salt [SaltSize]byte) Key {
	return derive(readSecret, salt[:], forPayload)
}
