//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/cairnstore/cairn/client"
)

// smallFiles is how many files a session packs.
const smallFiles = 1000

// smallSizes are the sizes in bytes, with the targets of a put and of a get.
var smallSizes = []struct {
	size     int64
	put, get string // files a second
}{
	{4 << 10, "≥ 2000", "≥ 2000"},
	{64 << 10, "≥ 800", "≥ 1000"},
}

// smallBytes returns how many user bytes all rounds put.
func smallBytes() (sum int64) {
	for _, s := range smallSizes {
		sum += s.size * smallFiles * smallRounds
	}
	return sum
}

const smallRounds = 3

// small puts many files in one session and gets each in another one.
func (n *network) small(ctx context.Context) (all []figure, err error) {
	for _, s := range smallSizes {
		var puts, gets []float64
		for round := range smallRounds {
			put, get, err := n.smallRound(ctx, s.size, round)
			if err != nil {
				return nil, fmt.Errorf("%d files of %d bytes: %w", smallFiles, s.size, err)
			}
			puts, gets = append(puts, smallFiles/put.Seconds()), append(gets, smallFiles/get.Seconds())
		}
		name := fmt.Sprintf("%d × %d KiB, packed", smallFiles, s.size>>10)
		all = append(all,
			figure{name + ", put", middle(puts), "files/s", s.put},
			figure{name + ", get", middle(gets), "files/s", s.get})
	}
	return all, nil
}

func (n *network) smallRound(ctx context.Context, size int64, round int) (put, get time.Duration, err error) {
	owner, err := n.client(ctx, "small", true)
	if err != nil {
		return 0, 0, err
	}
	defer owner.close()
	var stored []client.Stored
	begun := time.Now()
	_, err = owner.PutAll(ctx, sources(size, byte(round)), client.PutOptions{Profile: n.profile, Wait: time.Minute},
		func(s client.Stored) error { stored = append(stored, s); return s.Err })
	if err != nil {
		return 0, 0, err
	}
	put = time.Since(begun)
	reader, err := n.client(ctx, "", false)
	if err != nil {
		return 0, 0, err
	}
	defer reader.close()
	begun = time.Now()
	count := &counter{begun: begun}
	for _, s := range stored {
		f, err := reader.OpenManifest(ctx, s.Manifest)
		if err == nil {
			err = f.WriteTo(ctx, count, nil)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if want := size * smallFiles; count.n != want {
		return 0, 0, fmt.Errorf("%d of %d bytes: %w", count.n, want, io.ErrUnexpectedEOF)
	}
	return put, time.Since(begun), nil
}

func sources(size int64, seed byte) iter.Seq2[client.Source, error] {
	random := rand.NewChaCha8([32]byte{seed})
	return func(yield func(client.Source, error) bool) {
		for i := range smallFiles {
			b := make([]byte, size)
			_, _ = random.Read(b) // never fails
			if !yield(client.Source{Reader: bytes.NewReader(b), Name: fmt.Sprint(i), Size: size}, nil) {
				return
			}
		}
	}
}
