package main

import (
	"context"
	"errors"
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

` + exitHelp,
		Example: "  cairn renew",
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
	Until        time.Time `json:"until"` // what was renewed is kept until then
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
	res, err := s.client.Renew(ctx)
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
		return withHint(err, "try again when more holders answer; a lease has months to run")
	}
	return err
}

func (a *app) showRenew(res *client.RenewResult) error {
	if a.flags.json {
		return a.result(renewResult{res.Groups, res.Renewed, res.Holders, res.Acknowledged, res.Until.UTC()})
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
