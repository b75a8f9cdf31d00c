//go:build linux

// Command bench measures put and get through real node processes beside a
// yardstick taken in the same run: the bytes that they must move, through the
// same libraries, with no protocol. What counts is the ratio; absolute figures
// depend on the machine and on what else it does.
//
//	go run ./lab/bench -cairn bin/cairn -nodes 10 -profile 4/7/10 -size 256
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"text/tabwriter"

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
}

func main() {
	s := settings{}
	profile := flag.String("profile", "4/7/10", "k/r/n of the put")
	size := flag.Int64("size", 256, "MiB to put and get")
	flag.StringVar(&s.cairn, "cairn", "bin/cairn", "the program")
	flag.StringVar(&s.dir, "dir", "", "folder for all disks (default: a temporary one, in memory where there is room)")
	flag.IntVar(&s.nodes, "nodes", 10, "node processes")
	flag.IntVar(&s.rounds, "rounds", 3, "repetitions; the median counts")
	flag.BoolVar(&s.json, "json", false, "one JSON object instead of a table")
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
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// memoryDir returns the system's folder in memory, where disks cost no more
// than they must, or "" where it is missing or too small for all the runs.
func memoryDir(s settings) string {
	const shm = "/dev/shm"
	var fs unix.Statfs_t
	need := s.size / int64(s.profile.K) * int64(s.profile.N) * int64(s.rounds+2)
	if unix.Statfs(shm, &fs) != nil || int64(fs.Bavail)*fs.Bsize < need {
		return ""
	}
	return shm
}

// row is one measured thing.
type row struct {
	Name   string  `json:"name"`
	CPU    float64 `json:"cpuSecondsPerGiB"` // of all processes
	Rate   float64 `json:"mbPerSecond"`      // 10^6 user bytes a second
	Yard   float64 `json:"yardstickCPU"`     // seconds per GiB; 0: none
	Ratio  float64 `json:"ratio"`            // CPU to yardstick; 0: none
	RSS    int64   `json:"clientRSS"`        // bytes; 0: not measured
	First  float64 `json:"firstByteSeconds"` // 0: not measured
	Target string  `json:"target"`
}

func bench(ctx context.Context, s settings) error {
	yard, err := measureYardstick(s)
	if err != nil {
		return err
	}
	rows, err := measureNetwork(ctx, s, yard)
	if err != nil {
		return err
	}
	if s.json {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{
			"profile": s.profile.String(), "nodes": s.nodes, "bytes": s.size, "rows": rows,
		})
	}
	return print(s, rows)
}

func print(s settings, rows []row) error {
	fmt.Printf("profile %s, %d node processes, %d MiB, median of %d\n\n", s.profile, s.nodes, s.size>>20, s.rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "\tCPU-s/GiB\tyardstick\tratio\ttarget\tMB/s\tclient RSS\tfirst byte")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%.1f\t%s\t%s\t%s\t%.0f\t%s\t%s\n", r.Name, r.CPU,
			orDash(r.Yard, "%.1f"), orDash(r.Ratio, "%.2f"), r.Target, r.Rate,
			orDash(float64(r.RSS)/(1<<20), "%.0f MiB"), orDash(r.First, "%.2f s"))
	}
	return w.Flush()
}

func orDash(v float64, format string) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}
