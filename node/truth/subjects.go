package truth

import "github.com/cairnstore/cairn/protocol"

// mayName reports whether one more subject may be named in the group.
func (g *Group) mayName(subject string) bool {
	if len(subject) == len(protocol.PointerID{}) {
		return g.pointed < protocol.MaxGroupPointers
	}
	return g.segments < protocol.MaxGroupSegments
}

func (g *Group) countSubject(subject string) {
	if len(subject) == len(protocol.PointerID{}) {
		g.pointed++
	} else {
		g.segments++
	}
}

// countGranted counts the segments that grants name.
func (g *Group) countGranted(subject string, by int) {
	if len(subject) == len(protocol.SegmentID{}) {
		g.granted += by
	}
}

// BeginGrant counts a grant that Put is about to store, within the group's
// limit; EndGrant takes it back.
func (g *Group) BeginGrant(subject []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := string(subject)
	_, granted := g.grants[s]
	if !granted && g.granting[s] == 0 && g.segments+len(g.granting) >= protocol.MaxGroupSegments {
		return protocol.Refuse(protocol.CodeLimit, "the group has had its %d segments", protocol.MaxGroupSegments)
	}
	g.granting[s]++
	return nil
}

// EndGrant takes back what BeginGrant counted.
func (g *Group) EndGrant(subject []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := string(subject)
	if g.granting[s]--; g.granting[s] <= 0 {
		delete(g.granting, s)
	}
}
