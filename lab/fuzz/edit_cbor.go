package fuzz

// strange are items that occur in no record, or are wrong at most places.
var strange = [][]byte{
	{0xf6}, {0xf7}, {0xf4}, {0xf5}, {0xe0}, {0xf8, 0xff}, {0xf9, 0x7e, 0}, {0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0}, // simple, floats
	{0x00}, {0x20}, {0x1b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	{0x40}, {0x60}, {0x80}, {0xa0}, {0x61, 0xff}, {0x62, 0xc3, 0xa9}, {0x63, 'z', 'z', 'z'}, {0x41, 0}, {0x81, 0x80}, {0xa1, 0x60, 0},
	{0x5f, 0xff}, {0x7f, 0xff}, {0x9f, 0xff}, {0xbf, 0xff}, {0xff}, {0x1c}, {0xfc}, // indefinite, reserved
	{0xc0, 0x60}, {0xc2, 0x41, 1}, {0xd9, 0xd9, 0xf7, 0xa0}, {0xd8, 0x2a, 0x41, 0}, // tags
	{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0xba, 0xff, 0xff, 0xff, 0xff}, {0x5a, 0x7f, 0xff, 0xff, 0xff}, {0x9a, 0, 1, 0, 0},
}

// editItem makes one change to one item of e.out. The lengths and counts around
// it are adjusted, except one time in eight.
func (e *editor) editItem() {
	i := e.draw.below(len(e.items))
	if e.items[i].major == frame {
		if e.draw.below(4) == 0 {
			e.putHead(i, frame, e.draw.magnitude(24), 0)
			return
		}
		i++ // the item in it
	}
	switch it := e.items[i]; e.draw.below(10) {
	case 0, 1, 2:
		e.editEntry(i)
	case 3, 4:
		from := e.parts
		if len(from) == 0 || e.draw.below(2) == 0 {
			from = strange
		}
		e.put(i, from[e.draw.below(len(from))])
	case 5: // a wrong length, count or value in its head
		arg := it.arg + uint64(e.draw.below(5)) - 2
		if e.draw.below(2) == 0 {
			arg = e.draw.magnitude(64)
		}
		e.putHead(i, it.major, arg, 0)
	case 6: // a longer form of the same head, or another type
		if e.draw.below(2) == 0 {
			e.putHead(i, it.major, it.arg, 1+e.draw.below(4))
		} else {
			e.putHead(i, byte(e.draw.below(8)), it.arg, 0)
		}
	case 7:
		e.wrap(i)
	default:
		e.putValue(i)
	}
}

// editEntry doubles, drops or moves an element of an array or a pair of a map.
func (e *editor) editEntry(i int) {
	it := e.items[i]
	first, step := i, 1
	if it.up >= 0 && e.items[it.up].major == majorMap {
		first, step = e.neighbour(i, it.nth&^1), 2
	}
	last := e.neighbour(i, e.items[first].nth+step-1)
	from, to := e.items[first].at, e.items[last].end
	switch e.draw.below(3) {
	case 0:
		e.piece = append(e.piece[:0], e.out[from:to]...)
		e.splice(it.up, to, to, e.piece, 1)
	case 1:
		e.splice(it.up, from, to, nil, -1)
	default:
		if other := e.neighbour(i, e.items[last].nth+step); other >= 0 { // after the next one
			end := e.items[other].end
			e.piece = append(append(e.piece[:0], e.out[to:end]...), e.out[from:to]...)
			copy(e.out[from:], e.piece)
		}
	}
}

// neighbour returns the index of the nth item in the item that contains items[i],
// or -1.
func (e *editor) neighbour(i, nth int) int {
	up := e.items[i].up
	for n := up + 1; n < len(e.items); n++ {
		if e.items[n].up == up && e.items[n].nth == nth && (up >= 0 || n == i) {
			return n
		}
	}
	return -1
}

// put replaces an item.
func (e *editor) put(i int, with []byte) {
	e.splice(e.items[i].up, e.items[i].at, e.items[i].end, with, 0)
}

// putHead replaces an item's head and leaves its content.
func (e *editor) putHead(i int, major byte, arg uint64, longer int) {
	it := e.items[i]
	e.piece = appendHead(e.piece[:0], major, arg, longer)
	e.splice(it.up, it.at, it.at+it.head, e.piece, 0)
}

// wrap puts an item within another.
func (e *editor) wrap(i int) {
	it := e.items[i]
	e.piece = e.piece[:0]
	switch depth := e.draw.upTo(maxDepth); e.draw.below(3) {
	case 0:
		for range depth {
			e.piece = append(e.piece, majorArray<<5|1)
		}
	case 1:
		e.piece = appendHead(e.piece, majorTag, e.draw.magnitude(64), 0)
	default:
		e.piece = appendHead(e.piece, majorBytes, uint64(it.end-it.at), 0)
	}
	e.splice(it.up, it.at, it.at, e.piece, 0)
}

// putValue replaces an item by another one of its type.
func (e *editor) putValue(i int) {
	it := e.items[i]
	content := e.out[it.at+it.head : it.end]
	switch it.major {
	case majorBytes, majorText:
		n := len(content)
		switch e.draw.below(4) {
		case 0:
			n = max(0, n+e.draw.below(5)-2)
		case 1:
			n = e.draw.upTo(maxGrowth)
		}
		e.piece = appendHead(e.piece[:0], it.major, uint64(n), 0)
		kept := min(n, len(content))
		e.piece = append(e.piece, content[:kept]...)
		for range n - kept {
			e.piece = append(e.piece, 'a'+byte(e.draw.below(26)))
		}
		if n > 0 {
			e.piece[len(e.piece)-1-e.draw.below(n)] = byte(e.draw.number())
		}
	case majorArray, majorMap, majorTag:
		e.piece = appendHead(e.piece[:0], it.major, 0, 0) // emptied
	default:
		arg := odd[e.draw.below(len(odd))]
		if e.draw.below(2) == 0 {
			arg = e.draw.magnitude(64)
		}
		e.piece = appendHead(e.piece[:0], it.major, arg, 0)
	}
	e.put(i, e.piece)
}

// splice replaces bytes of e.out within item up (-1: in none), whose count grows
// by more, and adjusts the heads around them.
func (e *editor) splice(up, from, to int, with []byte, more int) {
	grown := len(with) - (to - from)
	e.replace(from, to, with)
	if e.draw.below(8) == 0 {
		return
	}
	for ; up >= 0; up = e.items[up].up {
		it := e.items[up]
		arg := it.arg
		switch {
		case it.holds():
			arg += uint64(grown)
		case it.major == majorArray || it.major == majorMap:
			arg += uint64(more)
		}
		more = 0
		if arg == it.arg {
			continue
		}
		var head [9]byte
		h := appendHead(head[:0], it.major, arg, 0)
		e.replace(it.at, it.at+it.head, h)
		grown += len(h) - it.head
	}
}
