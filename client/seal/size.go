package seal

// Sizes of an extent, in bytes.
const (
	PartSize       = 256 << 10 // plain bytes of every part but the last, which has 1 to as many
	Overhead       = 16        // what sealing adds to each part
	CommitmentSize = 32        // of the commitment before the first part

	// MaxPlain is the most plain bytes of one extent. It keeps AES-GCM far
	// from its birthday bound; a segment ends long before.
	MaxPlain int64 = 1 << 40

	sealedPart = PartSize + Overhead
)

// Parts returns how many parts an extent of plain bytes has: 0 outside 1 to
// MaxPlain, where there is no extent.
func Parts(plain int64) int64 {
	if plain < 1 || plain > MaxPlain {
		return 0
	}
	return (plain + PartSize - 1) / PartSize
}

// SealedSize returns the length of the extent of plain bytes, commitment
// included: 0 outside 1 to MaxPlain, where there is no extent.
func SealedSize(plain int64) int64 {
	if Parts(plain) == 0 {
		return 0
	}
	return CommitmentSize + plain + Parts(plain)*Overhead
}

// PlainSize returns how many plain bytes an extent of sealed bytes holds. It
// returns ErrOpen when no extent has that length.
func PlainSize(sealed int64) (int64, error) {
	plain := PlainCapacity(sealed)
	if plain == 0 || SealedSize(plain) != sealed {
		return 0, ErrOpen
	}
	return plain, nil
}

// PlainCapacity returns the most plain bytes whose extent fits into sealed bytes: 0
// if none fits.
func PlainCapacity(sealed int64) int64 {
	if sealed <= CommitmentSize+Overhead {
		return 0
	}
	body := sealed - CommitmentSize
	plain := body/sealedPart*PartSize + max(0, body%sealedPart-Overhead)
	return min(plain, MaxPlain)
}

// PartRange returns where the part with that index, counted from 0, lies in the
// extent of plain bytes: its offset and sealed length. Both are 0 for a part
// that does not exist.
func PartRange(index, plain int64) (off, length int64) {
	parts := Parts(plain)
	if index < 0 || index >= parts {
		return 0, 0
	}
	off, length = CommitmentSize+index*sealedPart, sealedPart
	if index == parts-1 {
		length = plain - index*PartSize + Overhead
	}
	return off, length
}
