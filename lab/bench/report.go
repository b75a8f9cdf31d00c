//go:build linux

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// report is all that one run measured.
type report struct {
	Profile string   `json:"profile"`
	Nodes   int      `json:"nodes"`
	Bytes   int64    `json:"bytes"` // of the file
	Rounds  int      `json:"rounds"`
	Rows    []row    `json:"rows"`
	Figures []figure `json:"figures"`
}

// row is a put or get of the whole file, next to its yardstick.
type row struct {
	Name   string  `json:"name"`
	CPU    float64 `json:"cpuSecondsPerGiB"` // of all processes
	Rate   float64 `json:"mbPerSecond"`      // 10^6 user bytes a second
	Yard   float64 `json:"yardstickCPU"`     // seconds per GiB
	Ratio  float64 `json:"ratio"`            // CPU to yardstick, the median of the rounds'
	RSS    int64   `json:"clientRSS"`        // bytes
	First  float64 `json:"firstByteSeconds"` // 0: not measured
	Target string  `json:"target"`
}

// figure is anything else that was measured.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target"`
}

// named completes a row.
func (r row) named(name, target string) row {
	r.Name, r.Target = name, target
	return r
}

func (r *report) print(out io.Writer) error {
	fmt.Fprintf(out, "profile %s, %d node processes, %d MiB, median of %d\n\n", r.Profile, r.Nodes, r.Bytes>>20, r.Rounds)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "\tCPU-s/GiB\tyardstick\tratio\ttarget\tMB/s\tclient RSS\tfirst byte")
	for _, r := range r.Rows {
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.2f\t%s\t%.0f\t%.0f MiB\t%s\n",
			r.Name, r.CPU, r.Yard, r.Ratio, r.Target, r.Rate, float64(r.RSS)/(1<<20), seconds(r.First))
	}
	if len(r.Figures) > 0 {
		fmt.Fprintln(w, "\t\t\t\t\t\t\t")
	}
	for _, f := range r.Figures {
		fmt.Fprintf(w, "%s\t%.4g %s\t\t\t%s\t\t\t\n", f.Name, f.Value, f.Unit, f.Target)
	}
	return w.Flush()
}

func seconds(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f s", v)
}
