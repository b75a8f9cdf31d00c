package p2p

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

const benchWrite = 256 << 10 // bytes, as the client writes

// BenchmarkStream sends bulk over loopback and compares its wall time with
// that of crypto/tls alone, both ends in this process.
func BenchmarkStream(b *testing.B) {
	node := startNode(b, Config{})
	got := make(chan int64)
	node.Serve(func(s protocol.Stream) {
		n, _ := io.Copy(io.Discard, s)
		_ = s.Close()
		got <- n
	})
	client := startClient(b, Config{}, node)
	s, err := client.Open(deadline(b), node.Self())
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, benchWrite)
	b.SetBytes(benchWrite)
	b.ResetTimer()
	for range b.N {
		if _, err := s.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	_ = s.Close()
	if n := <-got; n != int64(b.N)*benchWrite {
		b.Fatalf("%d bytes arrived", n)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed())/float64(plainTLS(b, b.N)), "×tls")
}

// plainTLS returns how long crypto/tls takes for n writes.
func plainTLS(b *testing.B, n int) time.Duration {
	b.Helper()
	l, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(b)}})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(io.Discard, c)
	}()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	t := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // a yardstick, nothing more
	if err := t.Handshake(); err != nil {
		b.Fatal(err)
	}
	buf, started := make([]byte, benchWrite), time.Now()
	for range n {
		if _, err := t.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	_ = t.Close()
	<-done
	return time.Since(started)
}

func certificate(b *testing.B) tls.Certificate {
	b.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	shape := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, shape, shape, public, private)
	if err != nil {
		b.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: private}
}
