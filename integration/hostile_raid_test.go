//go:build unix

package integration

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/cairnstore/cairn/protocol"
)

// A raid runs in a process of its own, so that the cost of attacking is not
// mistaken for that of being attacked. TestMain starts it where this is set.
const raidVariable = "CAIRN_RAID"

// raidOrder is what a raid is told on its standard input, whose end ends it.
type raidOrder struct {
	Attack  string
	Node    peer.AddrInfo
	Segment protocol.SegmentID // that the node holds,
	Group   protocol.GroupID   // in this group
	Names   float64            // new identities a second
}

// raidResult is what it says at its end.
type raidResult struct {
	Seconds float64
	Told    int64 // claims that were written: requests, and forged facts one by one
	Names   int64 // identities that were used
}

// raid attacks as ordered. It says a line as soon as it is under way.
func raid(in io.Reader, out io.Writer) error {
	said := json.NewDecoder(in)
	r := &raiders{names: new(rate.Limiter), requests: rate.NewLimiter(raidPace, raidPace/10)}
	if err := said.Decode(&r.raidOrder); err != nil {
		return err
	}
	do, ok := r.attacks()[r.Attack]
	if !ok {
		return fmt.Errorf("no attack is named %q", r.Attack)
	}
	r.names = rate.NewLimiter(rate.Limit(r.raidOrder.Names), raidCount)
	r.do = do
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, io.MultiReader(said.Buffered(), in))
	}()
	begun := time.Now()
	all := r.start(ctx, func() { _, _ = fmt.Fprintln(out, "{}") })
	all.Wait()
	return json.NewEncoder(out).Encode(raidResult{time.Since(begun).Seconds(), r.told.Load(), r.used.Load()})
}

// What all raiders together try: claims a second, and new identities a second.
// On a public network one address may connect five times a second, and one prefix
// 20 times (SPEC.md, Streams). Here the node does not enforce that: on loopback
// nothing is counted by address.
const (
	raidPace  = 10_000
	raidNames = 5
	raidWrite = 4 << 10 // bytes in one write, about,
	raidBatch = 20      // or requests

	raidCount   = 4
	raidStreams = 32
)

// raiders are some bare libp2p hosts, with identities that they throw away.
type raiders struct {
	raidOrder
	do              attack
	requests, names *rate.Limiter
	told, used      atomic.Int64
}

// attack is what a raider does on each stream that it gets, until that ends.
type attack func(context.Context, network.Stream) error

// start makes some raiders attack until ctx ends: each on many streams at a time,
// and with a new identity as soon as its own is not let in.
func (r *raiders) start(ctx context.Context, underWay func()) *sync.WaitGroup {
	var all sync.WaitGroup
	first := sync.OnceFunc(underWay)
	for range raidCount {
		all.Go(func() {
			for r.names.Wait(ctx) == nil {
				h, err := r.connect(ctx)
				if err == nil {
					r.used.Add(1)
					r.attack(ctx, h, first)
				}
				if h != nil {
					_ = h.Close()
				}
			}
		})
	}
	return &all
}

func (r *raiders) connect(ctx context.Context) (host.Host, error) {
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		return nil, err
	}
	return h, h.Connect(ctx, r.Node)
}

// attack attacks on many streams until ctx ends or no more are let in.
func (r *raiders) attack(ctx context.Context, h host.Host, first func()) {
	var all sync.WaitGroup
	for range raidStreams {
		all.Go(func() {
			for failures := 0; ctx.Err() == nil && failures < 3; {
				s, err := r.open(ctx, h)
				if err == nil {
					first()
					stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
					err = r.do(ctx, s)
					stop()
					_ = s.Reset()
				}
				if err != nil {
					failures++
				}
			}
		})
	}
	all.Wait()
}

func (r *raiders) open(ctx context.Context, h host.Host) (network.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ctx = network.WithNoDial(ctx, "an identity that was cut off is thrown away")
	return h.NewStream(ctx, r.Node.ID, "/cairn/"+worldNetwork+"/1")
}

// same returns the attack that repeats the same request.
func (r *raiders) same(b []byte, claims int, hear bool) attack {
	return func(ctx context.Context, s network.Stream) error {
		if hear {
			go func() { _, _ = io.Copy(io.Discard, s) }()
		}
		return r.repeat(ctx, s, b, claims)
	}
}

// repeat writes a request, of some claims, again and again, as fast as it is
// taken.
func (r *raiders) repeat(ctx context.Context, s io.Writer, b []byte, claims int) error {
	times := min(max(1, raidWrite/len(b)), raidBatch)
	many := bytes.Repeat(b, times)
	claims *= times
	for {
		if err := r.requests.WaitN(ctx, claims); err != nil {
			return err
		}
		if _, err := s.Write(many); err != nil {
			return err
		}
		r.told.Add(int64(claims))
	}
}

// badProofs returns the attack that asks for the segment with proofs in which
// all is right but the signature.
func (r *raiders) badProofs(key ed25519.PrivateKey) attack {
	return func(ctx context.Context, s network.Stream) error {
		proof := protocol.SignRead(key, worldNetwork, r.Segment, s.Conn().LocalPeer())
		bad := request(&protocol.GetRequest{Segment: r.Segment, Slot: protocol.AnySlot, Proof: proof})
		return r.same(bad, 1, true)(ctx, s)
	}
}

// idle returns the attack that writes some bytes and nothing more.
func idle(b []byte) attack {
	return func(ctx context.Context, s network.Stream) error {
		if _, err := s.Write(b); err != nil {
			return err
		}
		_ = s.SetReadDeadline(time.Now().Add(30 * time.Second))
		_, err := s.Read(make([]byte, 1))
		return err
	}
}

// frame is a request as it crosses the wire, of n announced bytes.
func frame(kind protocol.Kind, n int, body []byte) []byte {
	h := binary.BigEndian.AppendUint32(nil, uint32(n))
	h[0] = byte(kind)
	return append(h, body...)
}

func request(r protocol.Request) []byte {
	b, err := protocol.Encode(r)
	if err != nil {
		panic(err)
	}
	return frame(r.Kind(), len(b), b)
}

// attackNames are the attacks in the order in which they are tried.
var attackNames = []string{
	"bad read proofs", "forged grants", "unreadable requests", "replies that nobody reads",
	"giant frames", "half-sent frames", "half-open puts", "idle streams",
}

// forgedFacts are in one request.
const forgedFacts = 100

func (r *raiders) attacks() map[string]attack {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	forged := make([]protocol.Fact, forgedFacts)
	for i := range forged {
		forged[i] = protocol.Fact{Kind: protocol.FactGrant, Bytes: protocol.SignGrant(key, worldNetwork, r.Group, r.Segment[:], 1000)}
	}
	put := &protocol.PutRequest{Record: []byte{1}, Descriptor: []byte{1}, Grant: []byte{1}, Length: 4 << 20}
	return map[string]attack{
		"bad read proofs":           r.badProofs(key),
		"forged grants":             r.same(request(&protocol.FactsRequest{Group: r.Group.Prefix(), Offer: forged}), forgedFacts, true),
		"unreadable requests":       idle(frame(protocol.KindInfo, 4, []byte{0xff, 0xff, 0xff, 0xff})),
		"replies that nobody reads": r.same(request(&protocol.InfoRequest{}), 1, false),
		"giant frames":              idle(frame(protocol.KindFacts, 1<<24-1, make([]byte, 100))),
		"half-sent frames":          idle(frame(protocol.KindFacts, 256<<10, make([]byte, 200<<10))),
		"half-open puts":            idle(request(put)),
		"idle streams":              idle([]byte{byte(protocol.KindInfo)}),
	}
}

// raidMain is the process of a raid.
func raidMain() int {
	if err := raid(os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "raid:", err)
		return 1
	}
	return 0
}
