package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/node/control"
)

func doctorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "what is well here and what is not, each with its mend",
		Long: `doctor checks this home: where a node runs, it asks the node; where one is set up
and does not run, what would keep it from starting; everywhere, whether the
secret and the journal of what was put here fit each other, whether the network
answers and whether the clock is right. It changes nothing.

Exit status: 0 nothing is bad · 1 something is · 2 wrong usage`,
		Example: "  cairn doctor\n  cairn doctor --json",
		Args:    takes(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), cmd) },
	}
}

// Verdicts of a check.
const (
	verdictOK   = "ok"
	verdictWarn = "warn" // works, but could be better, or is not known yet
	verdictBad  = "bad"
)

// Situations that doctor finds a home in.
const (
	situationClient  = "client"
	situationRunning = "node"
	situationStopped = "stopped node"
)

// doctorResult is the result of doctor --json.
type doctorResult struct {
	Situation string  `json:"situation"` // client, node or stopped node
	OK        bool    `json:"ok"`        // nothing is bad
	Checks    []check `json:"checks"`
}

// check is one line of what doctor found.
type check struct {
	Check   string `json:"check"`
	Verdict string `json:"verdict"` // ok, warn or bad
	Text    string `json:"text"`
	Mend    string `json:"mend"` // what to do; empty: nothing
}

func fine(name, format string, args ...any) check {
	return check{Check: name, Verdict: verdictOK, Text: fmt.Sprintf(format, args...)}
}

func warning(name, mend, format string, args ...any) check {
	return check{name, verdictWarn, fmt.Sprintf(format, args...), mend}
}

func bad(name, mend, format string, args ...any) check {
	return check{name, verdictBad, fmt.Sprintf(format, args...), mend}
}

// doctor looks without touching: it makes no home, no key, no store.
func (a *app) doctor(ctx context.Context, cmd *cobra.Command) error {
	h := home{a.flags.home}
	r := doctorResult{Situation: situationClient}
	set, err := readNodeSettings(h)
	if err != nil {
		return err
	}
	facts, running := a.askFacts(ctx, h)
	switch {
	case running:
		r.Situation = situationRunning
	case len(set.Stores) > 0:
		r.Situation = situationStopped
	}
	if r.Situation != situationClient {
		a.followNode(cmd, set)
	}
	r.Checks = append(checkHome(h), checkOwner(h)...)
	see := a.lookRound(ctx, h, facts)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch r.Situation {
	case situationRunning:
		r.Checks = append(r.Checks, checkRunning(h, facts, see)...)
	case situationStopped:
		r.Checks = append(r.Checks, a.checkStopped(cmd, h, set)...)
	}
	r.Checks = append(r.Checks, checkTemp(), checkDescriptors(r.Situation, facts), checkNetwork(r.Situation, a.flags.network, see))
	if c, ok := checkClock(see.offsets); ok {
		r.Checks = append(r.Checks, c)
	}
	return a.tell(r)
}

// nodeFacts are what a running node tells a doctor: its status, and what only
// its own process knows.
type nodeFacts struct {
	Status      nodeStatus `json:"status"`
	Descriptors uint64     `json:"descriptors"` // how many it may have open; 0: not known
}

func (s *nodeStart) facts() nodeFacts {
	limit, _ := descriptorLimit()
	return nodeFacts{Status: s.node.Status(), Descriptors: limit}
}

// askFacts asks the node that runs on the home, if one does.
func (a *app) askFacts(ctx context.Context, h home) (nodeFacts, bool) {
	ctx, cancel := context.WithTimeout(ctx, ownNodeTimeout)
	defer cancel()
	var f nodeFacts
	err := control.Call(ctx, h.node(socketFile), verbDoctor, nil, &f)
	if err != nil {
		a.log.Debug("no node answers", "err", err)
	}
	return f, err == nil
}

// followNode makes doctor look at the network that the node's stores serve, as the
// node itself does.
func (a *app) followNode(cmd *cobra.Command, set nodeSettings) {
	if set.Network != "" && !cmd.Flags().Changed("network") {
		a.flags.network = set.Network
	}
}

// tell prints the findings, and returns an error if any of them is bad.
func (a *app) tell(r doctorResult) error {
	bads := 0
	for _, c := range r.Checks {
		if c.Verdict == verdictBad {
			bads++
		}
	}
	r.OK = bads == 0
	var err error
	if a.flags.json {
		err = a.result(r)
	} else {
		err = a.print("%s", a.findings(r))
	}
	if err == nil && bads > 0 {
		err = fmt.Errorf("doctor: %d of %s found bad", bads, count(len(r.Checks), "check"))
	}
	return err
}

func (a *app) findings(r doctorResult) string {
	paint := func(_, text string) string { return text }
	if wantsColour(a.out) {
		paint = func(code, text string) string { return "\x1b[" + code + "m" + text + "\x1b[0m" }
	}
	codes := map[string]string{verdictOK: "32", verdictWarn: "33", verdictBad: "31"}
	var b strings.Builder
	for _, c := range r.Checks {
		b.WriteString(paint(codes[c.Verdict], fmt.Sprintf("%-4s", c.Verdict)))
		b.WriteString(sprintln("  %-11s  %s", c.Check, oneLine(c.Text)))
		if c.Mend != "" {
			b.WriteString(sprintln("%19s%s", "mend: ", oneLine(c.Mend)))
		}
	}
	return b.String()
}
