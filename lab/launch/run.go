package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
)

// Result is what a command of the program said and how it ended.
type Result struct {
	Stdout, Stderr []byte
	Code           int // exit status; -1: killed
}

// Home returns a home for a client of the lab, by name. The program makes it.
func (l *Lab) Home(name string) string { return filepath.Join(l.dir, name) }

// Command prepares the program with a client's home. Secrets belong on its
// standard input, not among its arguments.
func (l *Lab) Command(ctx context.Context, home string, args ...string) *exec.Cmd {
	all := []string{"--home", home, "--no-mdns"}
	if l.cfg.Network != "" {
		all = append(all, "--network", l.cfg.Network)
	}
	cmd := exec.CommandContext(ctx, l.cfg.Binary, append(all, args...)...)
	cmd.Env = l.env()
	dieWithParent(cmd)
	return cmd
}

// Run runs the program with a client's home to its end. stdin may be nil. An
// exit status other than 0 is no error.
func (l *Lab) Run(ctx context.Context, home string, stdin io.Reader, args ...string) (Result, error) {
	var out, log bytes.Buffer
	cmd := l.Command(ctx, home, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &log
	err := cmd.Run()
	r := Result{Stdout: out.Bytes(), Stderr: log.Bytes()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.Code = exit.ExitCode()
	case err != nil:
		return r, fmt.Errorf("run %s: %w", filepath.Base(l.cfg.Binary), err)
	}
	return r, nil
}
