//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"time"
)

// tlsLink copies bytes over loopback connections with TLS 1.3, one for each slot,
// as libp2p's do. The far end reads each frame and answers with one byte.
type tlsLink struct {
	listener net.Listener
	conf     *tls.Config
	mu       sync.Mutex
	conns    map[int]*tls.Conn
}

func newTLSLink() (*tlsLink, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	own := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13})
	if err != nil {
		return nil, err
	}
	link := &tlsLink{listener: l, conf: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, conns: map[int]*tls.Conn{}}
	go link.serve()
	return link, nil
}

func (l *tlsLink) serve() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			buf := make([]byte, 4<<20)
			var head [8]byte
			for {
				if _, err := io.ReadFull(c, head[:]); err != nil {
					return
				}
				n := binary.BigEndian.Uint64(head[:])
				if _, err := io.ReadFull(c, buf[:n]); err != nil {
					return
				}
				if _, err := c.Write(head[:1]); err != nil {
					return
				}
			}
		}()
	}
}

// copy sends b over the connection of a slot and waits until it has arrived.
func (l *tlsLink) copy(slot int, b []byte) error {
	c, err := l.conn(slot)
	if err != nil {
		return err
	}
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], uint64(len(b)))
	if _, err := c.Write(head[:]); err != nil {
		return err
	}
	for len(b) > 0 {
		n := min(len(b), 256<<10)
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	_, err = io.ReadFull(c, head[:1])
	return err
}

func (l *tlsLink) conn(slot int) (*tls.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.conns[slot]; c != nil {
		return c, nil
	}
	c, err := tls.Dial("tcp", l.listener.Addr().String(), l.conf)
	if err == nil {
		l.conns[slot] = c
	}
	return c, err
}

func (l *tlsLink) close() {
	errs := []error{l.listener.Close()}
	for _, c := range l.conns {
		errs = append(errs, c.Close())
	}
	_ = errors.Join(errs...) // errors of closing a link on this machine do not matter
}
