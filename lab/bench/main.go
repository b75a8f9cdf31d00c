//go:build linux

// Command bench measures put and get through real node processes, next to a
// yardstick taken in the same run: the bytes that they must move, through the
// same libraries, with no protocol. What counts is the ratio; absolute figures
// depend on the machine and on what else it does.
//
//	go run ./lab/bench -cairn bin/cairn -nodes 10 -profile 4/7/10 -size 256
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/cairnstore/cairn/protocol"
)

// settings are what the command line says.
type settings struct {
	cairn   string
	dir     string
	nodes   int
	profile protocol.Profile
	size    int64 // bytes
	rounds  int
	json    bool
	quick   bool // bulk only
	repair  bool // repair only
}

func main() {
	if ran, err := pipeEnd(os.Args[1:]); ran {
		exitOn(err)
		return
	}
	s := settings{}
	profile := flag.String("profile", "4/7/10", "k/r/n of the put")
	size := flag.Int64("size", 256, "MiB to put and get")
	flag.StringVar(&s.cairn, "cairn", "bin/cairn", "the program")
	flag.StringVar(&s.dir, "dir", "", "folder for all disks (default: a temporary one, in memory where there is room)")
	flag.IntVar(&s.nodes, "nodes", 10, "node processes")
	flag.IntVar(&s.rounds, "rounds", 3, "repetitions; the median counts")
	flag.BoolVar(&s.json, "json", false, "one JSON object instead of a table")
	flag.BoolVar(&s.quick, "quick", false, "put and get of the one file, nothing else")
	flag.BoolVar(&s.repair, "repair", false, "repair of the one file, nothing else")
	flag.Parse()
	s.size = *size << 20
	var err error
	if s.profile, err = protocol.ParseProfile(*profile); err == nil {
		if s.dir == "" {
			s.dir = memoryDir(s)
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		err = bench(ctx, s)
	}
	exitOn(err)
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// memoryDir returns the system's folder in memory, where the disk's part is
// smallest, or "" if it is missing or too small for all the runs.
func memoryDir(s settings) string {
	const shm = "/dev/shm"
	var fs unix.Statfs_t
	user := s.size * 2 * int64(s.rounds+2) // nodes and yardstick
	if !s.quick {
		user += rangeFile + smallBytes()
	}
	need := user / int64(s.profile.K) * int64(s.profile.N)
	if unix.Statfs(shm, &fs) != nil || int64(fs.Bavail)*fs.Bsize < need {
		return ""
	}
	return shm
}

func bench(ctx context.Context, s settings) error {
	if s.repair {
		mended, err := measureRepair(ctx, s)
		if err != nil {
			return within("repair", err)
		}
		return s.tell(report{Profile: s.profile.String(), Nodes: s.nodes, Bytes: s.size, Rounds: s.rounds, Figures: mended})
	}
	r, err := measureNetwork(ctx, s)
	if err != nil {
		return err
	}
	if !s.quick {
		idle, failed := measureIdle(ctx, s)
		mended, notMended := measureRepair(ctx, s)
		r.Figures = append(append(r.Figures, idle...), mended...)
		err = errors.Join(within("idle", failed), within("repair", notMended))
	}
	return errors.Join(err, s.tell(r)) // what was measured is printed, whatever failed
}

// within says in which measurement something failed.
func within(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// tell prints a report.
func (s settings) tell(r report) error {
	if s.json {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	return r.print(os.Stdout)
}
