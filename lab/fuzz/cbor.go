package fuzz

import (
	"encoding/binary"
	"math"
)

// Major types of CBOR, and one for our frames: a byte, then three of length.
const (
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
	frame      = 8
)

const (
	maxDepth = 12
	maxItems = 1 << 12
	maxRaw   = 64 // bytes that are not CBOR, between items
)

// item is one CBOR data item, or a frame, by where it stands.
type item struct {
	at, head, end int    // head is its length in bytes
	major         byte   // or frame
	arg           uint64 // of the head
	up            int    // index of the item that it is in, -1: none
	nth           int    // among its neighbours
}

// holds reports whether the number in the item's head is the length of a content
// that may hold other items.
func (i item) holds() bool { return i.major == majorBytes || i.major == frame }

// scan appends the items of b, each before what it contains. It finds CBOR within
// byte strings and frames, too.
func scan(b []byte, to []item) []item {
	raw := 0
	for at := 0; at < len(b) && raw < maxRaw; {
		var end int
		if to, end = scanFrame(b, at, to); end < 0 && (b[at]>>5 == majorArray || b[at]>>5 == majorMap) {
			to, end = scanItem(b, at, len(b), -1, 0, 0, to)
		}
		if end < 0 {
			end = at + 1
			raw++
		}
		at = end
	}
	return to
}

func scanFrame(b []byte, at int, to []item) (items []item, end int) {
	if len(b)-at < 5 || b[at+4]>>5 != majorMap {
		return to, -1
	}
	n := int(b[at+1])<<16 | int(b[at+2])<<8 | int(b[at+3])
	end = at + 4 + n
	if end > len(b) {
		return to, -1
	}
	up := len(to)
	items, got := scanItem(b, at+4, end, up, 0, 0, append(to, item{at, 4, end, frame, uint64(n), -1, 0}))
	if got != end {
		return to, -1
	}
	return items, end
}

// scanItem appends the item at at, and what it contains. Where there is no whole
// item it returns to unchanged, and end -1.
func scanItem(b []byte, at, limit, up, nth, depth int, to []item) (items []item, end int) {
	head, arg, ok := readHead(b[at:limit])
	if !ok || depth > maxDepth || len(to) > maxItems {
		return to, -1
	}
	me := len(to)
	items, end = append(to, item{at, head, at + head, b[at] >> 5, arg, up, nth}), at+head
	switch b[at] >> 5 {
	case majorBytes, majorText:
		if arg > uint64(limit-end) {
			return to, -1
		}
		end += int(arg)
		if b[at]>>5 == majorBytes && arg > 1 && b[at+head]>>5 == majorMap {
			if in, got := scanItem(b, at+head, end, me, 0, depth+1, items); got == end {
				items = in
			}
		}
	case majorArray, majorMap, majorTag:
		count := arg
		switch b[at] >> 5 {
		case majorMap:
			count = 2 * min(arg, math.MaxUint32)
		case majorTag:
			count = 1
		}
		for n := 0; uint64(n) < count; n++ {
			if end >= limit {
				return to, -1
			}
			if items, end = scanItem(b, end, limit, me, n, depth+1, items); end < 0 {
				return to, -1
			}
		}
	}
	items[me].end = end
	return items, end
}

// readHead reads the head of an item of definite length.
func readHead(b []byte) (n int, arg uint64, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	low := b[0] & 31
	if low < 24 {
		return 1, uint64(low), true
	}
	n = 1 + 1<<(low-24)
	if low > 27 || len(b) < n {
		return 0, 0, false
	}
	var full [8]byte
	copy(full[8-(n-1):], b[1:n])
	return n, binary.BigEndian.Uint64(full[:]), true
}

// appendHead appends the shortest head, or one that is longer by some steps.
func appendHead(b []byte, major byte, arg uint64, longer int) []byte {
	if major == frame {
		return append(b, byte(arg>>16), byte(arg>>8), byte(arg))
	}
	size := 0
	for _, most := range [...]uint64{23, math.MaxUint8, math.MaxUint16, math.MaxUint32} {
		if arg > most {
			size++
		}
	}
	size = min(size+longer, 4)
	if size == 0 {
		return append(b, major<<5|byte(arg))
	}
	var full [8]byte
	binary.BigEndian.PutUint64(full[:], arg)
	return append(append(b, major<<5|byte(23+size)), full[8-1<<(size-1):]...)
}
