package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/client"
)

func uploadsCommand(a *app) *cobra.Command {
	var links bool
	cmd := &cobra.Command{
		Use:   "uploads",
		Short: "what was put from this home",
		Long: `uploads lists what was put from this home, oldest first, and how many shards of
it were stored then ("cairn health" asks how many are there now). Puts that were
cut off are listed as unfinished: put the same file again, or delete them by
their name. What lies in another network says in which.`,
		Example: `  cairn uploads
  cairn uploads --links --json`,
		Args: takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return a.uploads(links) },
	}
	cmd.Flags().BoolVar(&links, "links", false, "print the links, too: whoever sees one can read the file")
	return cmd
}

// uploadsResult is the result of uploads --json.
type uploadsResult struct {
	Uploads  []uploadRow `json:"uploads"`
	Warnings []string    `json:"warnings"` // what is wrong with the home's secret
}

type uploadRow struct {
	Name       string    `json:"name"`
	Path       string    `json:"path"` // empty: no file
	Size       int64     `json:"size"` // bytes; -1: not known yet
	When       time.Time `json:"when"`
	Pointer    string    `json:"pointer"`        // empty while unfinished
	Link       string    `json:"link,omitempty"` // with --links
	Segments   int       `json:"segments"`
	Stored     int       `json:"stored"`
	K          int       `json:"k"`
	R          int       `json:"r"`
	N          int       `json:"n"`
	Unfinished bool      `json:"unfinished"`
	Deleting   bool      `json:"deleting"` // too few holders know yet that it is deleted
	ID         string    `json:"id"`       // what delete takes; empty: the link
	Network    string    `json:"network"`  // where it lies; empty: nothing of it is stored yet
}

func (a *app) uploads(links bool) error {
	l, err := a.listUploads()
	if err != nil {
		return err
	}
	rows := make([]uploadRow, len(l.Uploads))
	for i, u := range l.Uploads {
		if rows[i], err = rowOf(u, links); err != nil {
			return err
		}
	}
	warnings := []string{} // [], not null
	if l.Unfit != nil {
		warnings = append(warnings, fmt.Sprintf("%v. What is listed can be read by its link, and until then neither renewed nor deleted", l.Unfit))
	}
	if a.flags.json {
		return a.result(uploadsResult{rows, warnings})
	}
	for _, w := range warnings {
		a.warn("%s", w)
	}
	return a.printUploads(rows)
}

// listUploads reads the uploads from the journal; that needs no secret.
func (a *app) listUploads() (*client.Listing, error) {
	h, err := a.openHome()
	if err != nil {
		return nil, err
	}
	l, err := client.ReadListing(h.owner())
	if errors.Is(err, fs.ErrNotExist) {
		return new(client.Listing), nil
	}
	return l, err
}

func rowOf(u client.Upload, links bool) (uploadRow, error) {
	row := uploadRow{
		Name: u.Name, Path: u.Path, Size: u.Size, When: u.When.UTC(), Segments: u.Segments, Stored: u.Stored,
		K: u.Profile.K, R: u.Profile.R, N: u.Profile.N, Unfinished: u.Unfinished, Deleting: u.Deleting, ID: u.ID, Network: u.Network,
	}
	if u.Unfinished {
		return row, nil
	}
	row.Pointer = u.Link.Pointer.String()
	if !links || u.Deleting {
		return row, nil
	}
	text, err := u.Link.Text()
	if err != nil {
		return row, fmt.Errorf("write the link of %q: %w", u.Name, err)
	}
	row.Link = text
	return row, nil
}

func (a *app) printUploads(rows []uploadRow) error {
	if len(rows) == 0 {
		a.note("nothing was put from this home yet")
		return nil
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PUT\tSIZE\tSTORED\tPROFILE\tNAME")
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", r.When.Local().Format("2006-01-02 15:04"), bytesText(r.Size), r.tail(a.flags.network))
		if r.Link != "" {
			_, _ = fmt.Fprintf(w, "  %s\n", r.Link)
		}
	}
	_ = w.Flush() // into memory
	return a.print("%s", b.String())
}

// tail is the end of a row: what is stored, the name, and the network if it is
// another one.
func (r uploadRow) tail(here string) string {
	name := oneLine(r.Name)
	if r.ID != "" {
		name = strings.TrimSpace(name + "  " + r.ID)
	}
	if r.Network != "" && r.Network != here {
		name += "  (network " + r.Network + ")"
	}
	switch {
	case r.Deleting:
		return "deleting\t-\t" + name
	case r.Unfinished:
		return "unfinished\t-\t" + name
	}
	return fmt.Sprintf("%d of %d\t%d/%d/%d\t%s", r.Stored, r.N, r.K, r.R, r.N, name)
}
