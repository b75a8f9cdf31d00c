package launch

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the process when this one dies, however it
// dies; its own process group keeps the terminal's Ctrl-C for the parent.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
