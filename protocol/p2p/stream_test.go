package p2p

import (
	"io"

	"github.com/cairnstore/cairn/protocol"
)

// echo sends back what a stream brings.
func echo(s protocol.Stream) {
	if _, err := io.Copy(s, s); err != nil {
		_ = s.Reset()
		return
	}
	_ = s.Close()
}
