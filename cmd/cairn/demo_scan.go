package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// scanner looks for byte strings in files.
type scanner struct {
	needles [][]byte
	read    int64
}

func (s *scanner) tree(ctx context.Context, dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // a temporary file, gone meanwhile
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !e.Type().IsRegular():
			return nil
		}
		return s.file(path)
	})
}

// file reads a file a window at a time; windows overlap by the longest needle.
func (s *scanner) file(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	overlap := 0
	for _, n := range s.needles {
		overlap = max(overlap, len(n))
	}
	window := make([]byte, 1<<20)
	kept := 0
	for {
		n, err := io.ReadFull(f, window[kept:])
		s.read += int64(n)
		for _, needle := range s.needles {
			if bytes.Contains(window[:kept+n], needle) {
				return fmt.Errorf("%s holds what no node may know", path)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		kept = copy(window, window[len(window)-overlap:])
	}
}
