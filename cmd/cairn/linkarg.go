package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/cairnstore/cairn/protocol"
)

// stdio names standard input or output where a file is expected.
const stdio = "-"

// maxLinkFile bounds, in bytes, what is read in search of a link.
const maxLinkFile = 16 << 10

// linkHelp is part of the help of each command that takes a LINK.
const linkHelp = `LINK is "-" (read from standard input), the name of a file that holds the link,
or the link itself, which other users of the machine and the shell's history
then see.`

// readLink turns a LINK argument into the link.
func (a *app) readLink(ctx context.Context, arg string) (protocol.Link, error) {
	text, err := a.linkText(ctx, arg)
	if err != nil {
		return protocol.Link{}, err
	}
	l, err := protocol.ParseLink(text)
	if err != nil {
		return l, linkError(err)
	}
	return l, nil
}

func (a *app) linkText(ctx context.Context, arg string) (string, error) {
	if looksLikeLink(arg) {
		return arg, nil
	}
	if arg == stdio {
		return readLinkFile(a.input(ctx), "standard input")
	}
	f, err := os.Open(arg)
	if errors.Is(err, fs.ErrNotExist) {
		return "", misuse("a link begins with \"cairn:\"; \"-\" reads it from standard input", "%q is neither a link nor a file that holds one", redact(arg))
	}
	if err != nil {
		return "", fmt.Errorf("read link: %w", err)
	}
	defer func() { _ = f.Close() }()
	return readLinkFile(f, arg)
}

func looksLikeLink(text string) bool {
	return strings.HasPrefix(text, protocol.LinkPrefix) || strings.HasPrefix(text, "https://")
}

// readLinkFile returns the first line that is not empty.
func readLinkFile(r io.Reader, name string) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxLinkFile))
	if err != nil {
		return "", fmt.Errorf("read link from %s: %w", name, err)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" {
			return line, nil
		}
	}
	return "", misuse("\"cairn put FILE > FILE.link\" makes a file that holds a link", "%s holds no link", name)
}
