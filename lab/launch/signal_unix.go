//go:build unix

package launch

import (
	"fmt"
	"os"
	"syscall"
)

// Freeze stops the process by SIGSTOP: its connections stay open and nothing
// answers, like a machine that hangs.
func (n *Node) Freeze() error { return n.signal(syscall.SIGSTOP, true) }

// Thaw lets a frozen process go on.
func (n *Node) Thaw() error { return n.signal(syscall.SIGCONT, false) }

func (n *Node) signal(s os.Signal, frozen bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return fmt.Errorf("signal %s: %w", n.Name, ErrExited)
	}
	if err := n.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal %s: %w", n.Name, err)
	}
	n.frozen = frozen
	return nil
}
