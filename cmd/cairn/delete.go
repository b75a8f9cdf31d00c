package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
)

func deleteCommand(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete LINK",
		Short: "have the nodes free what you put",
		Long: `delete tells the nodes that keep a file to free it. Only the home that put it can.
They stop to serve it at once and free the disk a week later; who does not
answer now learns it from the others, and from your next command. It cannot be
taken back, and who had the link may have kept a copy.
` + linkHelp + `
Or it is the name that "cairn uploads" gives a put that was cut off.

At a terminal you are asked first, except with --yes or --json.

` + exitHelp,
		Example: `  cairn delete holiday.link
  cairn delete put-5f1c20aa93b7d405 --yes`,
		Args: takes(1, 1, "one LINK, or the name of an unfinished put"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.delete(cmd.Context(), args[0], yes) },
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// deleteResult is the result of delete --json.
type deleteResult struct {
	Name         string  `json:"name"`
	Size         int64   `json:"size"`         // bytes; -1: not known
	Segments     int     `json:"segments"`     // freed
	Holders      int     `json:"holders"`      // that keep something of it, or may
	Acknowledged int     `json:"acknowledged"` // of them
	Enough       bool    `json:"enough"`       // enough know for the others to learn it from them
	FreedAfter   float64 `json:"freedAfter"`   // seconds until they free the disk
}

// condemned is what a delete is about: an upload or an unfinished put.
type condemned struct {
	link protocol.Link
	put  string // ID of the unfinished put; empty: the link's upload
}

func (a *app) delete(ctx context.Context, arg string, yes bool) error {
	what, err := a.readCondemned(ctx, arg)
	if err != nil {
		return err
	}
	h, err := a.openHome()
	if err != nil {
		return err
	}
	o, err := a.openUsed(h)
	if err != nil {
		return err
	}
	up, err := what.find(o)
	if err == nil && up.Network != "" && up.Network != a.flags.network {
		err = fmt.Errorf("delete %s: %w", uploadText(up), &client.OtherNetworkError{Network: up.Network, Here: a.flags.network})
	}
	if err != nil {
		return deleteError(err)
	}
	if !yes && !a.confirm(ctx, arg == stdio, "delete %s for good?", uploadText(up)) {
		return withHint(fmt.Errorf("delete %s: the answer was not \"y\", and nothing is deleted", uploadText(up)), "\"--yes\" does not ask")
	}
	s, err := a.openMet(ctx, h, o)
	if err != nil {
		return err
	}
	a.attend(ctx, s.client)
	res, err := what.delete(ctx, s.client, client.DeleteOptions{Progress: a.deleteMeter()})
	if res != nil {
		err = errors.Join(a.showDelete(res), err)
	}
	return deleteError(err)
}

func (a *app) readCondemned(ctx context.Context, arg string) (condemned, error) {
	if strings.HasPrefix(arg, client.UnfinishedPrefix) {
		if _, err := os.Stat(arg); errors.Is(err, os.ErrNotExist) {
			return condemned{put: arg}, nil
		}
	}
	l, err := a.readLink(ctx, arg)
	return condemned{link: l}, err
}

// find returns what the journal says of it. o is nil for a home without a journal.
func (c condemned) find(o *client.Owner) (up client.Upload, err error) {
	if o == nil {
		return up, client.ErrNotOwn
	}
	list, err := o.Uploads()
	if err != nil {
		return up, err
	}
	for _, u := range list {
		if c.put != "" && u.ID == c.put || c.put == "" && u.ID == "" && u.Link.Pointer == c.link.Pointer {
			return u, nil
		}
	}
	return up, c.gone(o)
}

// gone says why the journal does not list it.
func (c condemned) gone(o *client.Owner) error {
	at, err := o.DeletedAt(c.link)
	if c.put != "" {
		at, err = o.UnfinishedDeletedAt(c.put)
	}
	switch {
	case err != nil:
		return err
	case at.IsZero():
		return client.ErrNotOwn
	}
	return fmt.Errorf("delete: %w, on %s", client.ErrDeleted, at.Local().Format("2006-01-02"))
}

func (c condemned) delete(ctx context.Context, by *client.Client, opt client.DeleteOptions) (*client.DeleteResult, error) {
	if c.put != "" {
		return by.DeleteUnfinished(ctx, c.put, opt)
	}
	return by.Delete(ctx, c.link, opt)
}

// uploadText names an upload to its owner.
func uploadText(u client.Upload) string {
	text := fmt.Sprintf("%q", u.Name)
	if u.Name == "" {
		text = "the put of many files"
	}
	if u.Size >= 0 {
		text += " (" + bytesText(u.Size) + ")"
	}
	if u.Unfinished {
		text += ", of which a part is stored,"
	}
	return text
}

// deleteError adds what to do about a deletion that failed.
func deleteError(err error) error {
	switch {
	case errors.Is(err, client.ErrNotOwn):
		return withHint(fmt.Errorf("delete: %w", client.ErrNotOwn),
			"only the home that put a file has the key to delete it: \"cairn uploads --links\" lists what this one put; \"--home DIR\" names another")
	case errors.As(err, new(*client.OtherNetworkError)):
		return hintNetwork(err)
	case errors.Is(err, client.ErrTooFew):
		return withHint(err, "it is noted in this home: each \"put\", \"delete\" and \"renew\" from here tells those that are left, and \"cairn uploads\" lists it until enough know")
	}
	return err
}

// confirm asks the person at the terminal, also where standard input was used up for
// a link. Where there is no terminal it returns true, and with --json as well: a
// question would stand among the events that a program reads.
func (a *app) confirm(ctx context.Context, spent bool, format string, args ...any) bool {
	if a.flags.json || !a.terminal || !spent && !isTerminalReader(a.in) {
		return true
	}
	from := a.input(ctx)
	if spent {
		keyboard, err := a.keyboard()
		if err != nil {
			return true // nobody sits there
		}
		defer func() { _ = keyboard.Close() }()
		from = &waiting{ctx: ctx, from: keyboard}
	}
	_, _ = fmt.Fprintf(a.errs, format+" [y/N] ", args...)
	return saysYes(from)
}

func saysYes(in io.Reader) bool {
	answer, _ := bufio.NewReader(io.LimitReader(in, 64)).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// deleteMeter returns what reports how many holders have acknowledged, when a
// deletion takes long.
func (a *app) deleteMeter() func(acknowledged, holders int) {
	if a.flags.quiet || a.flags.json {
		return nil
	}
	due := every(lineEvery)
	return func(acknowledged, holders int) {
		if due() {
			a.say("delete: %d of %s acknowledged", acknowledged, count(holders, "holder"))
		}
	}
}

func (a *app) showDelete(res *client.DeleteResult) error {
	if a.flags.json {
		return a.result(deleteResult{
			res.Name, res.Size, res.Segments, res.Holders, res.Acknowledged, res.Enough, res.FreedAfter.Seconds(),
		})
	}
	freed := count(int(res.FreedAfter.Hours()/24), "day")
	switch {
	case !res.Enough: // the error says it
	case res.Holders == 0:
		a.note("%s no holder keeps anything of it", a.green("deleted:"))
	case res.Acknowledged == res.Holders:
		a.note("%s all %s acknowledged; disk is freed in %s", a.green("deleted:"), count(res.Holders, "holder"), freed)
	default:
		a.note("%s %d of %s acknowledged, the others will learn it from them; disk is freed in %s",
			a.green("deleted:"), res.Acknowledged, count(res.Holders, "holder"), freed)
	}
	return nil
}
