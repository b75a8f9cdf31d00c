package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/client"
)

func renewCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "renew",
		Short: "tell the nodes that you still want what you put",
		Long: `renew tells all nodes that keep something of this home's that its owner lives. They
keep it for twelve months from then, and for three more without mending it. What
was put in the last month has sixty days at first: renew it when it is older.
"put" and "delete" renew by themselves what was not renewed for a week.
What was put into another network is not renewed, and that is an error unless you
name the network to renew in by --network or $CAIRN_NETWORK.

` + exitHelp,
		Example: "  cairn renew\n  cairn renew --network friends",
		Args:    takes(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.renew(cmd.Context()) },
	}
}

// renewResult is the result of renew --json.
type renewResult struct {
	Groups       int       `json:"groups"`  // of this network
	Renewed      int       `json:"renewed"` // of them
	Holders      int       `json:"holders"` // of all groups
	Acknowledged int       `json:"acknowledged"`
	Until        time.Time `json:"until"`    // what was renewed is kept until then
	Warnings     []string  `json:"warnings"` // about what lies in other networks, where that is no error
}

func (a *app) renew(ctx context.Context) error {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	o, err := a.openUsed(h)
	if err != nil {
		return err
	}
	if o == nil {
		return a.showRenew(new(client.RenewResult))
	}
	s, err := a.openMet(ctx, h, o)
	if err != nil {
		return err
	}
	res, err := s.client.Renew(ctx, client.RenewOptions{Here: a.named})
	if res == nil {
		return err
	}
	a.attend(ctx, s.client)
	return errors.Join(a.showRenew(res), renewError(err))
}

func renewError(err error) error {
	if errors.As(err, new(*client.OtherNetworkError)) {
		return hintNetwork(err)
	}
	if errors.Is(err, client.ErrTooFew) {
		return withHint(err, "try again when more holders answer; a lease has months to run. Where that is over, holders have freed what they kept: \"cairn health LINK\" asks them for it")
	}
	return err
}

// leftOut warns of what was not renewed, because it lies in other networks than the
// one that was named. Where none was named it is an error, and no warning.
func (a *app) leftOut(res *client.RenewResult) []string {
	warnings := []string{} // [], not null
	if !a.named {
		return warnings
	}
	for _, name := range slices.Sorted(maps.Keys(res.Elsewhere)) {
		warnings = append(warnings, fmt.Sprintf("not renewed: %s in network %q: renew that by \"--network %s\"",
			count(res.Elsewhere[name], "group"), name, name))
	}
	return warnings
}

func (a *app) showRenew(res *client.RenewResult) error {
	warnings := a.leftOut(res)
	if a.flags.json {
		return a.result(renewResult{res.Groups, res.Renewed, res.Holders, res.Acknowledged, res.Until.UTC(), warnings})
	}
	for _, w := range warnings {
		a.warn("%s", w)
	}
	if res.Groups == 0 && len(res.Elsewhere) == 0 {
		a.note("nothing to renew: nothing that was put from this home is kept")
		return nil
	}
	if res.Renewed > 0 {
		a.note("%s %d of %s, by %d of %s; they keep what you put until %s at least",
			a.green("renewed:"), res.Renewed, count(res.Groups, "group"), res.Acknowledged, count(res.Holders, "holder"), res.Until.Local().Format("2006-01-02"))
	}
	return nil
}
