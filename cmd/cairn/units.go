package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// bytesText writes a number of bytes for people, in powers of ten, as disks are
// sold; a negative number means unknown.
func bytesText(n int64) string {
	if n < 0 {
		return "unknown"
	}
	return humanize.Bytes(uint64(n))
}

// parseSize reads a size as people write it: 200GB, 1.5TiB, 4096.
func parseSize(text string) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || strings.HasPrefix(strings.TrimSpace(text), "-") || n > math.MaxInt64 {
		return 0, fmt.Errorf("%q is no size", text)
	}
	return int64(n), nil
}

// span writes a duration without digits that nobody needs.
func span(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return d.Round(time.Minute).String()
}

// count writes a number of things, with an s unless it is one.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
