package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/multiformats/go-multiaddr"
	"github.com/spf13/cobra"
)

// Values of --public.
var publicValues = []string{"auto", "yes", "no"}

type nodeFlags struct {
	donate  []string
	listen  []string
	public  string
	metrics string
	terms   termFlags
	timing  timingFlags
}

func nodeCommand(a *app) *cobra.Command {
	var f nodeFlags
	cmd := &cobra.Command{
		Use:   "node",
		Short: "give disk: run a storage node",
		Long: `node keeps other people's shards: encrypted pieces that nobody can read here. It
takes what --donate gives and no more, prints its addresses and then one line
"ready". Ctrl-C or SIGTERM ends it within ten seconds and loses nothing. What
--donate says is remembered in the home; other flags can stand in its config.toml.
Port 4401 taken: it finds a free one, says which and keeps it.

Exit status: 0 ended as asked · 1 failed · 2 wrong usage`,
		Example: `  cairn node --donate 200GB
  cairn node --donate 200GB:/mnt/a --donate 1TB:/mnt/b --bootstrap ADDRESS
  cairn node --donate 1TB --limit-up 2MB/s --month 500GB --hours 22-07`,
		Args: takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.node(cmd.Context(), f) },
	}
	cmd.Flags().StringArrayVar(&f.donate, "donate", nil, "give `SIZE[:DIR]`; repeatable, one store in each folder (default: in the home)")
	cmd.Flags().StringArrayVar(&f.listen, "listen", nil, "listen at `MULTIADDR`; repeatable (default: port 4401, TCP and UDP)")
	cmd.Flags().StringVar(&f.public, "public", "auto", "`ANSWER` to whether others on the internet can dial this node: yes, no or auto")
	cmd.Flags().StringVar(&f.metrics, "metrics", "", "serve Prometheus metrics at `[ADDRESS:]PORT`, this machine's loopback unless an address is named (docs/metrics.md)")
	f.terms.add(cmd)
	f.timing.add(cmd)
	cmd.Flags().SortFlags = false
	cmd.AddCommand(nodeStatusCommand(a), nodeHealthCommand(a), nodeDrainCommand(a), nodeAwayCommand(a), nodePauseCommand(a), nodeResumeCommand(a))
	return cmd
}

// node runs until it is asked to end. The order matters: first what can be
// refused without touching anything, then the locks, the disks, the network.
func (a *app) node(ctx context.Context, f nodeFlags) error {
	if !slices.Contains(publicValues, f.public) {
		return misuse("it is yes, no or auto", "--public %q", f.public)
	}
	listen, err := parseListen(f.listen)
	if err != nil {
		return err
	}
	terms, err := f.terms.terms()
	if err != nil {
		return err
	}
	timing, err := f.timing.timing()
	if err != nil {
		return err
	}
	h, err := a.openHome()
	if err != nil {
		return err
	}
	set, err := readNodeSettings(h)
	if err != nil {
		return err
	}
	gifts, err := chooseGifts(h, f.donate, set)
	if err != nil {
		return err
	}
	if err := a.lock(h.node(), "the node"); err != nil {
		return err
	}
	return a.runNode(ctx, h, &nodeStart{flags: f, listen: listen, gifts: gifts, settings: set, terms: terms, timing: timing})
}

func parseListen(texts []string) ([]multiaddr.Multiaddr, error) {
	var out []multiaddr.Multiaddr
	for _, t := range texts {
		m, err := multiaddr.NewMultiaddr(t)
		if err != nil {
			return nil, misuse("for instance /ip4/0.0.0.0/tcp/4401 and /ip4/0.0.0.0/udp/4401/quic-v1", "--listen %q: %v", t, err)
		}
		out = append(out, m)
	}
	return out, nil
}

// defaultListen is one port for TCP and QUIC, on every interface.
func defaultListen(port int) []multiaddr.Multiaddr {
	var out []multiaddr.Multiaddr
	for _, t := range []string{"/ip4/0.0.0.0/tcp/%d", "/ip4/0.0.0.0/udp/%d/quic-v1", "/ip6/::/tcp/%d", "/ip6/::/udp/%d/quic-v1"} {
		out = append(out, multiaddr.StringCast(fmt.Sprintf(t, port)))
	}
	return out
}
