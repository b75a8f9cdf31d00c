package protocol

import "slices"

// Kind is the first byte of a request. Kinds are only ever appended.
type Kind uint8

// The messages.
const (
	KindInfo     Kind = 1
	KindForm     Kind = 2
	KindPut      Kind = 3
	KindGet      Kind = 4
	KindHave     Kind = 5
	KindMembers  Kind = 6
	KindFacts    Kind = 7
	KindAudit    Kind = 8
	KindReveal   Kind = 9
	KindBeat     Kind = 10
	KindNominate Kind = 11
	KindEnter    Kind = 12
	KindMend     Kind = 13
)

// Kinds returns all kinds, ascending.
func Kinds() []Kind {
	all := make([]Kind, 0, KindMend)
	for k := KindInfo; k <= KindMend; k++ {
		all = append(all, k)
	}
	return all
}

// String names the message, lower case.
func (k Kind) String() string {
	names := [...]string{"", "info", "form", "put", "get", "have", "members", "facts",
		"audit", "reveal", "beat", "nominate", "enter", "mend"}
	if int(k) < len(names) && k > 0 {
		return names[k]
	}
	return "unknown message"
}

// Greatest lengths in bytes of a message's CBOR; shard bytes follow it raw and have
// bounds of their own.
const (
	maxBeat  = 4 << 10
	maxSmall = 16 << 10
	maxInfo  = 64 << 10
	maxPage  = 256 << 10
)

// Message is a request or a reply: it declares how long it may be and checks
// itself after decoding.
type Message interface {
	MaxLen() int
	Validate() error
}

// Request is a message that begins an exchange.
type Request interface {
	Message
	Kind() Kind
}

// --- Info

// Limits of Info.
const (
	MaxInfoDonors = 32
	maxAgent      = 64
)

// InfoRequest asks a peer what it offers.
type InfoRequest struct{}

// Accepts says whose segments a node takes.
type Accepts string

// The values of Accepts.
const (
	AcceptsOpen     Accepts = "open"
	AcceptsVouchers Accepts = "vouchers"
	AcceptsNobody   Accepts = "nobody"
)

// InfoReply is what a peer says of itself. Unknown fields are ignored.
type InfoReply struct {
	Network   string     `cbor:"network"`
	Version   int        `cbor:"version"` // the highest spoken
	Agent     string     `cbor:"agent"`
	Donated   int64      `cbor:"donated"` // bytes
	Free      int64      `cbor:"free"`    // bytes that it would take from this asker now
	Accepts   Accepts    `cbor:"accepts"`
	Budget    int64      `cbor:"budget"` // bytes of traffic left this month; 0: unlimited
	Draining  bool       `cbor:"draining"`
	AwayUntil int64      `cbor:"awayUntil"` // Unix seconds; 0: not away
	Clock     int64      `cbor:"clock"`     // Unix seconds
	Donors    []Envelope `cbor:"donors"`    // nodes that it spoke to within a day
}

// --- Form

// FormRequest asks a node to hold a slot of a new group.
type FormRequest struct {
	Record  []byte  `cbor:"record"`
	Profile Profile `cbor:"profile"`
	Bytes   int64   `cbor:"bytes"`   // to reserve at this node
	Voucher []byte  `cbor:"voucher"` // empty: none
}

// FormReply is a node's yes.
type FormReply struct {
	Envelope Envelope `cbor:"envelope"`
	Until    int64    `cbor:"until"` // Unix seconds at which the reservation ends
}

// --- Put

// PutRequest announces a shard; its bytes follow immediately.
type PutRequest struct {
	Record     []byte `cbor:"record"`
	Slot       int    `cbor:"slot"`
	Descriptor []byte `cbor:"descriptor"`
	Grant      []byte `cbor:"grant"`
	Length     int64  `cbor:"length"` // bytes that follow: the descriptor's shardSize
}

// PutReply acknowledges a shard that is durable.
type PutReply struct{}

// --- Get

// AnySlot in a GetRequest means the slot that the asked peer holds.
const AnySlot = -1

// GetRequest asks for a shard (Length 0) or for a range of one.
type GetRequest struct {
	Segment    SegmentID `cbor:"segment"`
	Slot       int       `cbor:"slot"`
	Offset     int64     `cbor:"offset"`
	Length     int64     `cbor:"length"` // bytes; 0: the whole shard
	Proof      []byte    `cbor:"proof"`  // read proof
	Descriptor bool      `cbor:"descriptor"`
}

// GetReply comes before a whole shard's bytes or a slice.
type GetReply struct {
	Slot       int    `cbor:"slot"`
	Length     int64  `cbor:"length"`     // raw bytes that follow
	Descriptor []byte `cbor:"descriptor"` // empty: not asked for
}

// --- Have

// Buckets is the number of lists that Have splits a group's names into, by
// their first byte.
const Buckets = 256

// HaveRequest compares what a member has of a group with what the asker has.
type HaveRequest struct {
	Group    GroupID     `cbor:"group"`
	Proof    []byte      `cbor:"proof"`    // group proof, empty: a member asks
	Facts    []int       `cbor:"facts"`    // buckets whose facts to list
	Segments []int       `cbor:"segments"` // buckets whose segments to list
	Named    []SegmentID `cbor:"named"`    // segments to answer yes or no about
	Root     []byte      `cbor:"root"`     // DigestsRoot of what the asker expects; empty: it expects nothing
}

// DigestsRoot returns what an asker sends in place of both digests of a HaveReply, if
// it may have the same: the first 16 bytes of their BLAKE3-256.
func DigestsRoot(facts, segments []byte) []byte {
	h := Sum(slices.Concat(facts, segments))
	return h[:digestsRoot]
}

const digestsRoot = 16

// HaveReply gives a digest for each bucket, or says that they are those that the
// asker expects, then the lists asked for, as many whole buckets as fit.
type HaveReply struct {
	Same           bool        `cbor:"same"`           // the digests fit the request's Root, and are left out
	FactDigests    []byte      `cbor:"factDigests"`    // Buckets × 32 bytes; empty without the right to lists
	SegmentDigests []byte      `cbor:"segmentDigests"` // the same
	Facts          []Hash      `cbor:"facts"`
	Segments       []SegmentID `cbor:"segments"`
	FactsDone      int         `cbor:"factsDone"`    // buckets of the request that Facts answers
	SegmentsDone   int         `cbor:"segmentsDone"` // the same for Segments
	Held           []bool      `cbor:"held"`         // for each named segment
}

// --- Members

// MembersRequest asks which peers hold which slots of a group.
type MembersRequest struct {
	Group   GroupID   `cbor:"group"`
	Segment SegmentID `cbor:"segment"` // zero: Proof is a group proof
	Proof   []byte    `cbor:"proof"`   // read proof of Segment, or group proof
}

// Member is one holder, as the answering peer believes.
type Member struct {
	Slot     int      `cbor:"slot"`
	Envelope Envelope `cbor:"envelope"`
}

// MembersReply names the holders; record and table prove the owner's draw.
type MembersReply struct {
	Record     []byte     `cbor:"record"`
	Table      []byte     `cbor:"table"`
	Members    []Member   `cbor:"members"`
	Candidates []Envelope `cbor:"candidates"`
}

// --- Facts

// MaxFactsPage bounds the facts of one Facts message, either way.
const MaxFactsPage = 512

// FactsRequest offers facts, asks for facts by name, or asks for what opens a
// pointer.
type FactsRequest struct {
	Group   GroupPrefix `cbor:"group"`
	Offer   []Fact      `cbor:"offer"`
	Want    []Hash      `cbor:"want"`    // needs a group proof, or that a member asks
	Proof   []byte      `cbor:"proof"`   // group proof, or empty
	Pointer []byte      `cbor:"pointer"` // 16 bytes, or empty
}

// FactsReply says what became of each offered fact and gives those asked for.
type FactsReply struct {
	Results []Code `cbor:"results"` // for each offered fact; 0: kept or known
	Facts   []Fact `cbor:"facts"`
}
