package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/node/contract"
)

// termFlags are the flags by which a donor limits more than disk, as written.
type termFlags struct {
	up, down, month, hours string
}

func (f *termFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.up, "limit-up", "", "send at most `RATE`, for instance 2MB/s or 10Mbit/s (default: no limit)")
	cmd.Flags().StringVar(&f.down, "limit-down", "", "receive at most `RATE` (default: no limit)")
	cmd.Flags().StringVar(&f.month, "month", "", "move at most `SIZE` in a calendar month, both ways together; half of it is kept for repair (default: no limit)")
	cmd.Flags().StringVar(&f.hours, "hours", "", "serve people's reads and puts at these `HOURS` only, for instance 22-07, by this machine's clock (default: always)")
}

// terms reads what the flags say.
func (f termFlags) terms() (t contract.Terms, err error) {
	if t.Up, err = parseRate("limit-up", f.up); err != nil {
		return t, err
	}
	if t.Down, err = parseRate("limit-down", f.down); err != nil {
		return t, err
	}
	if f.month != "" {
		if t.Month, err = parseSize(f.month); err != nil || t.Month == 0 {
			return t, misuse("for instance: --month 500GB", "--month %q is no size", f.month)
		}
	}
	if f.hours != "" {
		if t.Hours, err = contract.ParseHours(f.hours); err != nil {
			return t, misuse("for instance: --hours 22-07, or --hours 22:30-6:45", "--hours %q: %v", f.hours, err)
		}
	}
	return t, nil
}

// parseRate reads a rate as people write it: 2MB/s, 500KB, 10Mbit/s. An empty text
// means no limit.
func parseRate(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	size := strings.TrimSuffix(strings.TrimSpace(text), "/s")
	bits := strings.TrimSuffix(size, "bit")
	n, err := parseSize(bits)
	if bits != size {
		n /= 8
	}
	if err != nil || n == 0 {
		return 0, misuse("for instance: --"+flag+" 2MB/s, or --"+flag+" 10Mbit/s", "--%s %q is no rate", flag, text)
	}
	if n < contract.LeastRate {
		return 0, misuse("peers give up on who is slower; to give less, donate less, or set --month or --hours",
			"--%s %q: less than %s/s is of no use", flag, text, bytesText(contract.LeastRate))
	}
	return n, nil
}

// contractConfig keeps in the home what a node must know of its contract.
func contractConfig(h home, t contract.Terms) node.ContractConfig {
	path := h.node(contractFile)
	return node.ContractConfig{Terms: t, Load: func() ([]byte, error) { return readSaved(path) },
		Save: func(b []byte) error { return writeWhole(path, b) }}
}

// readSaved reads what was saved in a file, and returns nil where nothing was.
func readSaved(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > maxConfig {
		err = fmt.Errorf("%s has %d bytes, and %d are the most", path, info.Size(), maxConfig)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// termsText says in a line or two what the donor set, and what follows.
func termsText(c node.ContractStatus, donated int64) string {
	var set []string
	add := func(on bool, format string, args ...any) {
		if on {
			set = append(set, fmt.Sprintf(format, args...))
		}
	}
	add(c.LimitUp > 0, "at most %s/s up", bytesText(c.LimitUp))
	add(c.LimitDown > 0, "at most %s/s down", bytesText(c.LimitDown))
	add(c.Month > 0, "%s a month, half of it kept for repair", bytesText(c.Month))
	add(c.Hours != "", "people's reads and puts at %s only", c.Hours)
	if len(set) == 0 {
		return sprintln("line       no limit; --limit-up, --limit-down, --month and --hours set some")
	}
	text := sprintln("line       %s", strings.Join(set, ", "))
	if c.Bears > 0 && c.Bears < donated {
		text += sprintln("  that bears the repair of %s: no more of the %s given is filled", bytesText(c.Bears), bytesText(donated))
	}
	return text
}

// contractText describes the contract for node status.
func contractText(st nodeStatus) string {
	c := st.Contract
	text := termsText(c, st.Donated)
	s := c.Spent
	spent := fmt.Sprintf("%s up, %s down", bytesText(s.Up), bytesText(s.Down))
	if c.Month > 0 {
		spent += fmt.Sprintf("; %s left for people, %s for repair", bytesText(s.ClientsLeft), bytesText(s.RepairLeft))
	}
	text += sprintln("%-10s %s", s.Month, spent)
	if c.OpensAt != "" {
		text += sprintln("rests      outside its hours, until %s; it answers audits and helps repair", c.OpensAt)
	}
	if c.PausedUntil != "" {
		text += sprintln("paused     until %s; \"cairn node resume\" ends it", c.PausedUntil)
	}
	if c.AwayUntil != "" {
		text += sprintln("away       until %s; \"cairn node away 0\" ends it", c.AwayUntil)
	}
	if c.Draining {
		text += sprintln("draining   since %s: %s", st.Drain.Since, drainText(st.Drain))
	}
	return text
}

// parseSpan reads a time of days or hours: 14d, 2w, 36h, 0.
func parseSpan(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	units := map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
	for unit, long := range units {
		number, ok := strings.CutSuffix(text, unit)
		if n, err := strconv.ParseUint(number, 10, 12); ok && err == nil && n > 0 {
			return time.Duration(n) * long, nil
		}
	}
	return 0, fmt.Errorf("%q is no time", text)
}
