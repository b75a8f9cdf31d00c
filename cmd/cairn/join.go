package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/protocol"
)

func joinCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "join TEXT",
		Short: "enter a network by its invitation",
		Long: `join keeps in the home which network this is and how to find its first peers, for
node and client alike. TEXT is what "cairn network invite" prints, "cairn-join:…",
or "-" to read it from standard input. An invitation holds no secret.

` + exitHelp,
		Example: `  cairn join cairn-join:o2F2AWduZXR3b3Jr…`,
		Args:    takes(1, 1, "one invitation"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.join(cmd, args[0]) },
	}
}

// joinResult is the result of join --json.
type joinResult struct {
	Network   string   `json:"network"`
	Bootstrap []string `json:"bootstrap"`
	Answered  bool     `json:"answered"` // whether a peer answers now
	Warnings  []string `json:"warnings"` // what may surprise the user of this home
}

// join keeps the invitation even where nobody answers: the peers may be away.
func (a *app) join(cmd *cobra.Command, text string) error {
	ctx := cmd.Context()
	if text == stdio {
		var err error
		if text, err = readLinkFile(a.input(ctx), "standard input"); err != nil {
			return misuse("an invitation is what \"cairn network invite\" prints", "join: standard input holds no invitation")
		}
	}
	inv, err := protocol.ParseInvitation(text)
	if errors.Is(err, protocol.ErrVersion) {
		return misuse("a newer cairn reads it: update, then try again", "join: the invitation is of a version that this cairn does not know")
	}
	if err != nil {
		return misuse("an invitation is what \"cairn network invite\" prints: copy it again, whole", "join: %s", wireText(err))
	}
	h, err := a.openHome()
	if err != nil {
		return err
	}
	j, err := joinedBy(inv)
	if err != nil {
		return err
	}
	if err := j.write(h); err != nil {
		return err
	}
	warnings := append(a.overruled(cmd, j.Network), a.leftBehind(h, j.Network)...)
	a.flags.network, a.flags.bootstrap = j.Network, j.Bootstrap
	answered := a.someoneAnswers(ctx, h)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if a.flags.json {
		return a.result(joinResult{j.Network, j.Bootstrap, answered, append([]string{}, warnings...)})
	}
	if !answered {
		a.warn("nobody answers at its addresses now: kept all the same, they may come back")
	}
	for _, w := range warnings {
		a.warn("%s", w)
	}
	a.note("%s this home has joined network %q: \"cairn put FILE\" stores, \"cairn node --donate 200GB\" gives", a.green("done:"), j.Network)
	return nil
}

// overruled warns of a setting that names another network than the one joined and
// overrides it.
func (a *app) overruled(cmd *cobra.Command, network string) []string {
	by := "$" + envPrefix + "NETWORK"
	name := os.Getenv(by[1:])
	if name == "" {
		file, _, _ := a.readSettings(cmd) // without error, since they were read before
		by = filepath.Join(a.flags.home, configFile)
		name, _ = file["network"].(string)
	}
	if name == "" || name == network {
		return nil
	}
	return []string{fmt.Sprintf("%s names network %q and comes first: commands in this home go on to ask that one", by, name)}
}

// leftBehind warns of what was put from the home into other networks. A journal that
// cannot be read just now is no reason not to join.
func (a *app) leftBehind(h home, network string) []string {
	o, err := a.openUsed(h)
	if o == nil || err != nil {
		return nil
	}
	list, err := o.Uploads()
	if err != nil {
		return nil
	}
	others := make(map[string]int)
	for _, u := range list {
		if u.Network != "" && u.Network != network {
			others[u.Network]++
		}
	}
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(others)) {
		warnings = append(warnings, fmt.Sprintf("%s from this home in network %q: renew and delete that by \"--network %s\", or use a home for each network (\"--home DIR\")",
			count(others[name], "upload"), name, name))
	}
	return warnings
}

func joinedBy(inv *protocol.Invitation) (joined, error) {
	j := joined{Network: inv.Network}
	for _, raw := range inv.Addrs {
		m, err := protocol.ParseHint(raw)
		if err != nil {
			return j, fmt.Errorf("join: %w", err)
		}
		j.Bootstrap = append(j.Bootstrap, m.String())
	}
	return j, nil
}

// someoneAnswers dials the invitation's peers.
func (a *app) someoneAnswers(ctx context.Context, h home) bool {
	s, err := a.openSession(ctx, h, nil)
	if err != nil {
		return false
	}
	return waitPeer(ctx, s.host, answerTime)
}
