package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
)

// defaultWait is how long put tries to bring the last shards to their holders
// once everything is safe.
const defaultWait = time.Minute

type putFlags struct {
	name    string
	hints   bool
	wait    time.Duration
	profile string
}

func putCommand(a *app) *cobra.Command {
	var f putFlags
	cmd := &cobra.Command{
		Use:   "put SRC",
		Short: "store a file and print its link",
		Long: `put encrypts a file, cuts it into shards, spreads them over nodes and prints a
link on standard output. Whoever has the link can read the file; without it
nobody can, the nodes included. SRC is a file, or "-" for standard input.

` + exitHelp,
		Example: `  cairn put holiday.mp4 > holiday.link
  tar -c photos | cairn put - --name photos.tar > photos.link`,
		Args: takes(1, 1, "one SRC (a file, or \"-\")"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.put(cmd, args[0], f) },
	}
	cmd.Flags().StringVar(&f.name, "name", "", "call it `NAME` for who gets it (default: as it is)")
	cmd.Flags().BoolVar(&f.hints, "hints", false, "put addresses of holders into the link: longer, but it works without the DHT")
	cmd.Flags().DurationVar(&f.wait, "wait", defaultWait, "try the last shards for `TIME` once all is safe")
	cmd.Flags().StringVar(&f.profile, "profile", "", "take profile `K/R/N`, not what today's network allows: any k of n shards give the file back")
	cmd.Flags().SortFlags = false
	return cmd
}

func (a *app) put(cmd *cobra.Command, arg string, f putFlags) error {
	opt := client.PutOptions{Hints: f.hints, Wait: f.wait}
	if f.profile != "" {
		p, err := protocol.ParseProfile(f.profile)
		if err != nil {
			return misuse("for instance --profile 4/9/14", "--profile: %s", wireText(err))
		}
		opt.Profile = p
	}
	if f.wait < 0 {
		return misuse("for instance --wait 30s", "--wait %s: less than nothing", f.wait)
	}
	if cmd.Flags().Changed("name") && f.name == "" {
		return misuse("for instance --name photos.tar", "--name: it is empty")
	}
	src, err := a.openSource(cmd.Context(), arg, f.name)
	if err != nil {
		return err
	}
	s, err := a.openOwner(cmd.Context())
	if err != nil {
		return err
	}
	m := a.putMeter(src.Name, src.Size)
	begun := false
	opt.Progress = func(p client.PutProgress) { thrifty(p.Read); begun = begun || p.Safe > 0; m.put(p) }
	res, err := s.client.Put(cmd.Context(), src, opt)
	m.close()
	if err != nil {
		return putError(err, begun)
	}
	return a.showPut(src.Name, res)
}

// changedHint is what to do about a source that changes. Read as standard input it
// is taken as it is.
const changedHint = "put it again when nobody writes to it; what only grows, as a log does, can be put as it is by \"cairn put - --name NAME < SRC\""

// putError adds what to do about a put that failed; begun says that a part of it is
// stored.
func putError(err error, begun bool) error {
	switch {
	case errors.Is(err, client.ErrNetworkFull) && begun:
		return withHint(err, "the room ended before the file did. When \"cairn network\" shows more, put the same file again: it goes on where it was")
	case errors.Is(err, client.ErrSourceChanged) && begun:
		return withHint(err, "%s. What is stored of it is of no use for that: \"cairn uploads\" gives it a name, by which \"cairn delete\" has it freed", changedHint)
	case errors.Is(err, client.ErrTooFew):
		return withHint(err, "nothing that was stored before is lost. \"cairn network\" shows what a put can get now, \"cairn doctor\" whether this computer's clock or line is at fault; put it again later, or with a lower --profile")
	}
	return err
}

// putResult is the result of put --json.
type putResult struct {
	Link     string   `json:"link"`
	Name     string   `json:"name"`
	Size     int64    `json:"size"`     // bytes
	Segments int      `json:"segments"` // content and manifest
	Stored   int      `json:"stored"`   // shards of the lowest segment
	K        int      `json:"k"`
	R        int      `json:"r"`
	N        int      `json:"n"`
	Safe     bool     `json:"safe"` // the loss of two nodes loses nothing
	Private  bool     `json:"private"`
	Warnings []string `json:"warnings"` // what looks wrong with the network or this home
}

func (a *app) showPut(name string, res *client.PutResult) error {
	link, err := res.Link.Text()
	if err != nil {
		return fmt.Errorf("write the link: %w", err)
	}
	if a.flags.json {
		p := res.Profile
		warnings := append(append([]string{}, a.ofHome...), res.Warnings...) // [], not null
		err = a.result(putResult{link, name, res.Size, res.Segments, res.Stored, p.K, p.R, p.N, !res.NotSafe, res.Private, warnings})
	} else if err = a.print("%s\n", link); err == nil {
		a.tellSafety(res)
	}
	if err != nil {
		return withHint(err, "the file is stored all the same: \"cairn uploads --links\" shows its link")
	}
	return nil
}

// tellSafety says in plain words what the network can lose before the file is
// lost.
func (a *app) tellSafety(res *client.PutResult) {
	p := res.Profile
	a.note("%s stored %d of %s (%s, profile %s)%s",
		a.green("done:"), res.Stored, count(p.N, "shard"), bytesText(res.Size), p, anyText(p))
	for _, w := range res.Warnings {
		a.warn("%s", w)
	}
	if res.NotSafe {
		a.warn("not safe yet: %s", notSafeText(p))
	}
	if res.Stored < p.N && !res.NotSafe {
		a.note("the missing shards' holders did not answer; the file is safe without them")
	}
	if res.Private {
		a.note("private network: every node counts as a place of its own, though several may share a machine")
	}
}

func anyText(p protocol.Profile) string {
	if p.N == p.K {
		return ""
	}
	return fmt.Sprintf(": any %d of them give it back", p.K)
}

func notSafeText(p protocol.Profile) string {
	switch p.N {
	case 1:
		return "one node alone keeps it; with three nodes or more, put it again"
	case 2:
		return "two nodes keep it; with three nodes or more, put it again"
	case p.K:
		return fmt.Sprintf("profile %s needs every one of its %d nodes", p, p.N)
	}
	return fmt.Sprintf("profile %s bears the loss of one node, and no more", p)
}
