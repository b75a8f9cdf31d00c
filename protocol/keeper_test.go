package protocol

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// keeper has room for a number of bytes of long requests.
type keeper struct {
	echo
	room, asked int
}

func (k *keeper) Keep(_ context.Context, _ Remote, n int) (func(), error) {
	if k.asked++; n > k.room {
		return nil, Refuse(CodeUnavailable, "too much at once")
	}
	k.room -= n
	return func() { k.room += n }, nil
}

// Long requests are held in memory only if their node has room for them: thousands
// of streams could each bring most of one, and stop.
func TestLongRequestsNeedRoom(t *testing.T) {
	long := &FactsRequest{Want: make([]Hash, 500)}
	synctest.Test(t, func(t *testing.T) {
		const room = 64 << 10
		k := &keeper{room: room}
		c, _, ended := serving(t.Context(), k)
		for range 2 {
			send(t, c, long, nil)
			_ = receive(t, c, new(FactsReply))
			send(t, c, new(FactsRequest), nil)
			_ = receive(t, c, new(FactsReply))
		}
		synctest.Wait() // for the next request
		if k.asked != 2 || k.room != room {
			t.Errorf("asked %d times; %d bytes are not given back", k.asked, room-k.room)
		}
		k.room = 1000
		go func() { _, _ = c.Write(frameOf(byte(KindFacts), encoded(encodeMessage(long)))) }()
		if err := receive(t, c, new(FactsReply)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("without room: %v", err)
		}
		_ = c.Close()
		if err := <-ended; !errors.Is(err, ErrUnavailable) {
			t.Errorf("ended by %v", err)
		}
		asked := k.asked
		c, _, ended = serving(t.Context(), k)
		go func() { _, _ = c.Write([]byte{byte(KindFacts), 0xff, 0xff, 0xff}) }()
		if err := receive(t, c, new(FactsReply)); !errors.Is(err, ErrMalformed) || k.asked != asked {
			t.Errorf("a giant frame: %v", err)
		}
		_ = c.Close()
		<-ended
	})
}
