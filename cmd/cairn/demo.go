package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/lab/launch"
)

// The demo's measures.
const (
	demoNodes     = 20
	demoLeast     = 3 // with fewer nodes none can be killed
	demoMost      = 200
	demoMostWaves = 10
	demoSize      = 64 << 20 // bytes of the file
	demoSpare     = 2        // holders killed beyond those of the data slots
	demoPatient   = 2 * time.Minute
)

type demoFlags struct {
	nodes      int
	waves      int
	stay, keep bool
}

func demoCommand(a *app) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "a whole network on this machine: a file in, holders killed, the network mends itself, the file back",
		Long: `demo starts a network of node processes in a temporary folder, stores a file in
it, kills the holders that keep the file's data shards, and gets the file back in
clients that know nothing but its link. Then, with its owner gone, new nodes join
and the members make again what is lost; and so twice more, after more holders
were killed, until more have died than the file ever had at once. At last a
stranger gets the file. Every step is told and checked.

Exit status: 0 all of it worked · 1 a step failed · 2 wrong usage`,
		Example: "  cairn demo\n  cairn demo --nodes 8 --stay",
		Args:    takes(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), f) },
	}
	cmd.Flags().IntVar(&f.nodes, "nodes", demoNodes, "start `N` nodes")
	cmd.Flags().IntVar(&f.waves, "waves", 3, "kill holders `N` times, and see the network mend itself after each; 0: see nothing of it")
	cmd.Flags().BoolVar(&f.stay, "stay", false, "leave the network running until Ctrl-C")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "leave the folder with all homes and logs behind")
	cmd.Flags().SortFlags = false
	return cmd
}

// demo is one run of the demo.
type demo struct {
	*app
	flags demoFlags
	lab   *launch.Lab
	begun time.Time
	step  int

	path, name string // of the file
	marker     []byte // repeated in the file
	sum        [32]byte
	put        putResult
	bare       string          // the link without hints
	first      map[string]bool // peers that held it when it was stored
	health     healthResult    // of the last look at it
	killed     []*launch.Node
	fresh      int    // nodes that join next
	bystander  string // address of a living node
	idle       bool   // bystander holds nothing of the file
	got        int    // how often the file came back
}

// stepEvent is a line of demo --json: a step that ended.
type stepEvent struct {
	Event   string  `json:"event"` // "step"
	Step    int     `json:"step"`
	Title   string  `json:"title"`
	Result  string  `json:"result"` // empty where it failed
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
}

// demoEvent is the last line of demo --json.
type demoEvent struct {
	Event   string  `json:"event"` // "done"
	OK      bool    `json:"ok"`
	Nodes   int     `json:"nodes"`
	Seconds float64 `json:"seconds"`
	Dir     string  `json:"dir"` // empty: removed
}

func (a *app) demo(ctx context.Context, f demoFlags) error {
	if f.nodes < demoLeast || f.nodes > demoMost {
		return misuse("for instance --nodes 20", "--nodes %d: not %d to %d", f.nodes, demoLeast, demoMost)
	}
	if f.waves < 0 || f.waves > demoMostWaves {
		return misuse("for instance --waves 1", "--waves %d: not 0 to %d", f.waves, demoMostWaves)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	lab, err := launch.New(launch.Config{Binary: self, Network: "demo", NodeArgs: demoTimes})
	if err != nil {
		return err
	}
	if f.keep {
		lab.Keep()
	}
	d := &demo{app: a, flags: f, lab: lab, begun: time.Now()}
	err = d.run(ctx)
	if err != nil && ctx.Err() == nil {
		lab.Keep() // the logs tell why
		err = withHint(err, "the nodes' homes and logs are in %s", lab.Dir())
	}
	return errors.Join(err, lab.Close())
}

// demoStep is one step, and how long it may take.
type demoStep struct {
	title   string
	do      func(context.Context) (string, error)
	patient time.Duration
}

func (d *demo) run(ctx context.Context) error {
	steps := []demoStep{
		{fmt.Sprintf("start %d storage nodes, each a process with its own disk, which find one another through the DHT", d.flags.nodes), d.start, demoPatient},
		{"make a file of " + bytesText(demoSize), d.makeFile, demoPatient},
		{"client A encrypts it, codes it into shards and spreads them", d.store, demoPatient},
		{"look for the file's content, name and link on every node's disk and in every log", d.searchDisks, demoPatient},
		{"challenge every holder to prove its shards, then kill (SIGKILL) those of all data slots and more", d.kill, demoPatient},
		{"client B has only the link and knows no node: it follows the addresses in the link", d.getByHints, demoPatient},
		{"client C has the link without addresses and knows one node: the DHT leads it to the holders", d.getByDHT, demoPatient},
	}
	if d.flags.waves > 0 {
		steps = append(steps, demoStep{"the owner is gone; as many new nodes join, the members find the dead gone (20 s for what is a week in a real network), draw new holders and make their shards again", d.mend, demoMending})
	}
	for range d.flags.waves - 1 {
		steps = append(steps, demoStep{"kill as many current holders as the group bears before it repairs, those from the start first; new nodes join, and it mends", d.wave, demoMending})
	}
	if d.flags.waves > 0 {
		steps = append(steps, demoStep{"client D, who never met the owner, has the link without addresses and knows one node", d.getByStranger, demoPatient})
	}
	for _, s := range steps {
		d.step++
		if err := d.tell(ctx, s.title, s.patient, s.do); err != nil {
			return err
		}
	}
	if err := d.finish(); err != nil {
		return err
	}
	if d.flags.stay {
		return d.stay(ctx)
	}
	return nil
}

// tell runs one step and says how it went.
func (d *demo) tell(ctx context.Context, title string, patient time.Duration, do func(context.Context) (string, error)) error {
	if !d.app.flags.json {
		if err := d.print("%d. %s\n", d.step, title); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	begun := time.Now()
	result, err := do(ctx)
	took := time.Since(begun)
	if err != nil {
		err = fmt.Errorf("demo: step %d: %w", d.step, err)
	}
	if d.app.flags.json {
		return errors.Join(err, d.result(stepEvent{"step", d.step, title, result, err == nil, took.Seconds()}))
	}
	if err != nil {
		return err
	}
	return d.print("   %s (%s)\n", result, span(took))
}

func (d *demo) finish() error {
	took := time.Since(d.begun)
	if d.app.flags.json {
		e := demoEvent{Event: "done", OK: true, Nodes: d.flags.nodes, Seconds: took.Seconds()}
		if d.flags.keep {
			e.Dir = d.lab.Dir()
		}
		return d.result(e)
	}
	text := sprintln("done in %s: %d holders died, and the file came back bit for bit, %d times", span(took), len(d.killed), d.got)
	if d.flags.keep {
		text += sprintln("homes and logs are in %s", d.lab.Dir())
	}
	return d.print("%s", text)
}

// stay leaves the network to the reader until Ctrl-C.
func (d *demo) stay(ctx context.Context) error {
	text := sprintln("the network runs on; Ctrl-C ends it. In another terminal:")
	text += sprintln("  export CAIRN_HOME=%s CAIRN_NETWORK=demo", d.lab.Home("you"))
	text += sprintln("  export CAIRN_BOOTSTRAP=%s", strings.Join(d.lab.Bootstrap(2), ","))
	text += sprintln("  cairn network; cairn put FILE > FILE.link; cairn get FILE.link /tmp")
	if !d.app.flags.json {
		if err := d.print("%s", text); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}
