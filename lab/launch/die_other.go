//go:build !linux

package launch

import "os/exec"

// dieWithParent does nothing here: only Close ends the nodes.
func dieWithParent(*exec.Cmd) {}
