package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
)

func getCommand(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "get LINK [DEST]",
		Short: "get a file back by its link",
		Long: `get finds the holders of a file, checks every byte that they send and writes the
file when it is whole. DEST is a file or a folder (default: here, under its own
name), or "-" for standard output. Until it is whole its bytes lie beside it in a
file ".cairn-….part". When a get is cut off, the same command goes on from there.
` + linkHelp + `

` + exitHelp,
		Example: `  cairn get holiday.link
  cairn get - videos/ < holiday.link`,
		Args: takes(1, 2, "a LINK and at most one DEST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dest := "."
			if len(args) == 2 {
				dest = args[1]
			}
			return a.get(cmd.Context(), args[0], dest, force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite DEST where it is a file that exists")
	return cmd
}

func catCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "cat LINK",
		Short: "write a file to standard output",
		Long: `cat writes the file of a link to standard output, as it arrives and is checked.
When it fails midway the exit status says so, and what came before is good.
` + linkHelp + `

` + exitHelp,
		Example: `  cairn cat photos.link | tar -x`,
		Args:    takes(1, 1, "one LINK"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.cat(cmd.Context(), args[0]) },
	}
}

// getResult is the result of get --json.
type getResult struct {
	Path string `json:"path"`
	Name string `json:"name"` // as the manifest has it
	Size int64  `json:"size"` // bytes
	Had  int64  `json:"had"`  // of these, bytes that an earlier get had left
	K    int    `json:"k"`
	R    int    `json:"r"`
	N    int    `json:"n"`
}

// get writes to a partial file, which it makes before it asks the network: an
// unwritable folder or an existing target is an error immediately.
func (a *app) get(ctx context.Context, arg, dest string, force bool) error {
	link, err := a.readLink(ctx, arg)
	if err != nil {
		return err
	}
	if dest == stdio {
		return a.catLink(ctx, link)
	}
	t, err := newTarget(dest, force, link.Pointer)
	if err != nil {
		return err
	}
	defer func() {
		if kept := t.abandon(); kept != "" {
			a.note("what has come is kept in %q: the same command goes on from there", kept)
		}
	}()
	f, err := a.openLink(ctx, link)
	if err != nil {
		return err
	}
	if err := t.name(f.Name); err != nil {
		return err
	}
	had, err := a.resume(ctx, f, t.files())
	if err != nil {
		return err
	}
	if err := t.finish(f.Size, f.MTime); err != nil {
		return err
	}
	return a.showGet(f, t.path, had)
}

// thriftily returns a progress function that calls thrifty, then show.
func thriftily(show func(done, total int64)) func(done, total int64) {
	return func(done, total int64) {
		thrifty(done)
		show(done, total)
	}
}

// resume completes a partial file under a progress display.
func (a *app) resume(ctx context.Context, f *client.File, p client.Partial) (had int64, err error) {
	m := a.getMeter(f.Name, f.Size)
	defer m.close()
	if had, err = f.Resume(ctx, p, thriftily(m.get)); err != nil {
		return had, fmt.Errorf("get %q: %w", f.Name, err)
	}
	return had, nil
}

func (a *app) showGet(f *client.File, path string, had int64) error {
	if a.flags.json {
		p := f.Profile
		return a.result(getResult{path, f.Name, f.Size, had, p.K, p.R, p.N})
	}
	a.note("%s %s, every byte checked: %q", a.green("done:"), bytesText(f.Size), path)
	if had > 0 {
		a.note("%s of it had come before", bytesText(had))
	}
	return nil
}

func (a *app) cat(ctx context.Context, arg string) error {
	link, err := a.readLink(ctx, arg)
	if err != nil {
		return err
	}
	return a.catLink(ctx, link)
}

func (a *app) catLink(ctx context.Context, link protocol.Link) error {
	f, err := a.openLink(ctx, link)
	if err != nil {
		return err
	}
	return a.fetch(ctx, f, a.out)
}

func (a *app) openLink(ctx context.Context, link protocol.Link) (*client.File, error) {
	s, err := a.openFor(ctx, link)
	if err != nil {
		return nil, err
	}
	return s.client.Open(ctx, link)
}

// fetch brings a file's bytes to w under a progress display.
func (a *app) fetch(ctx context.Context, f *client.File, w io.Writer) error {
	m := a.getMeter(f.Name, f.Size)
	defer m.close()
	if err := f.WriteTo(ctx, w, thriftily(m.get)); err != nil {
		return fmt.Errorf("get %q: %w", f.Name, err)
	}
	return nil
}
