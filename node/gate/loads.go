package gate

import (
	"context"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// How many groups that are not in memory one source, or one peer of an exempt
// source, may make this node read from the disk: a group of 4,096 grants takes
// 20 ms to read, and a request of some sixty bytes asks for it. Each group counts
// as one, and each loadSegments of its segments as one more.
const (
	loadsASecond = 64
	loadsAtOnce  = 1024
	loadSegments = 64
	maxLoaders   = 1 << 14
)

// loadsOf returns how much a group with a number of segments counts as.
func loadsOf(segments int) int { return min(1+segments/loadSegments, loadsAtOnce) }

// loader returns the guest that is charged for what is read for a peer.
func loader(from protocol.Remote) guest {
	all := guestsOf(from)
	return all[min(1, len(all)-1)]
}

// Load waits until a group with a number of segments may be read for a peer.
// It refuses with CodeUnavailable when that takes too long.
func (d *Gate) Load(ctx context.Context, from protocol.Remote, segments int) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for !d.TryLoad(from, segments) {
		more := loadsOf(segments) - d.loads.Left(loader(from), d.now())
		select {
		case <-time.After(max(time.Duration(more)*time.Second/loadsASecond, time.Millisecond)):
		case <-ctx.Done():
			return protocol.Refuse(protocol.CodeUnavailable, "too many groups at once")
		}
	}
	return nil
}

// TryLoad is Load for callers that do not wait.
func (d *Gate) TryLoad(from protocol.Remote, segments int) bool {
	n, who, now := loadsOf(segments), loader(from), d.now()
	return d.loads.Left(who, now) >= n && d.loads.Take(who, n, now)
}
