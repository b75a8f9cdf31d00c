package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/protocol/p2p"
	"github.com/cairnstore/cairn/storage"
)

// Hints that more than one check gives.
const (
	mendMissing = "mount the disk, then start the node again; to go on without it, name the other folders by --donate"
	mendGone    = "mount the disk, and the node goes on with it; to do without it, start the node again and name the other folders by --donate"
	mendFailed  = "look at the disk's health and at the log, then start the node again: nothing more is taken before. Only a disk that was read-only is taken up without that, once it can be written to"
	mendFull    = "free space on that disk, or give less: \"cairn node --donate SIZE\""
	mendPort    = "forward port %s, TCP and UDP, from the router to this machine and allow it in the firewall: docs/reach.md tells how"
)

// nearlyAll is the share of a donation that is used or free if its disk has room for
// all of it: the rest is kept for reclaiming space.
const nearlyAll = 0.9

// checkRunning checks a node by what it says of itself.
func checkRunning(h home, f nodeFacts, see sight) []check {
	st := f.Status
	up := time.Duration(st.Uptime * float64(time.Second))
	out := []check{fine("node", "%s runs, up %s, with %s of %s", st.Peer, span(up), count(st.Shards, "shard"), count(st.Groups, "group"))}
	for _, s := range st.Stores {
		out = append(out, judgeStore(s))
	}
	if n := st.Scrub.Damaged; n > 0 {
		out = append(out, warning("rot", "look at the disk's health (SMART); the node makes a shard again from what other holders keep", "damaged on disk: %s", count(n, "shard")))
	}
	ports := portsOf(st.Addrs)
	return append(out, judgePorts(ports), judgeReach(st, strings.Join(ports, " and "), see))
}

// judgeStore judges one donated folder by its status.
func judgeStore(s node.StoreStatus) check {
	const name = "store"
	text := fmt.Sprintf("%s of %s used in %s", bytesText(s.Used), bytesText(s.Quota), s.Dir)
	switch {
	case s.State == node.StoreSuspended:
		return bad(name, mendGone, "%s: its disk is missing", s.Dir)
	case s.State != node.StoreOK:
		return bad(name, mendFailed, "%s: %s", s.Dir, s.Why)
	case s.Free == 0 && float64(s.Used) < nearlyAll*float64(s.Quota):
		return bad(name, mendFull, "%s; the disk is full, nothing more is taken", text)
	case s.Free == 0:
		return fine(name, "%s; all that was given is taken", text)
	case float64(s.Used+s.Free) < nearlyAll*float64(s.Quota):
		return warning(name, mendFull, "%s; the disk has room for %s more, and not for all that was given", text, bytesText(s.Free))
	}
	return fine(name, "%s, %s free", text, bytesText(s.Free))
}

// portsOf lists the ports in addresses, each once.
func portsOf(addrs []string) []string {
	var out []string
	for _, text := range addrs {
		m, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			continue
		}
		for _, code := range []int{multiaddr.P_TCP, multiaddr.P_UDP} {
			if p, err := m.ValueForProtocol(code); err == nil && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func judgePorts(ports []string) check {
	if len(ports) == 0 {
		return bad("port", "look at the node's log: \"cairn node --log-level info\" says why it cannot listen", "the node has no address")
	}
	return fine("port", "the node listens, or is forwarded, at port %s", strings.Join(ports, " and "))
}

// judgeReach judges whether others can dial a node. Where all peers that were seen
// are in its own local network, nobody can know, and it need not be dialled from
// outside.
func judgeReach(st nodeStatus, ports string, see sight) check {
	const name = "reach"
	forward := fmt.Sprintf(mendPort, ports)
	local := see.others > 0 && see.private
	switch {
	case st.Reachable == node.ReachPublic:
		return fine(name, "others can dial this node: %s", st.Why)
	case st.Reachable != node.ReachPrivate && local, st.Reachable == node.ReachPrivate && local && len(st.Relays) == 0:
		return fine(name, "from its own network, where all the others are: %s", st.Why)
	case st.Reachable != node.ReachPrivate:
		return warning(name, "ask again when the node has been among others for some minutes", "not known yet: %s", st.Why)
	case len(st.Relays) > 0:
		return warning(name, forward, "by %s only, it is behind a NAT or firewall: %s", count(len(st.Relays), "relay"), st.Why)
	}
	return bad(name, forward, "others cannot dial this node, and nobody relays for it: %s", st.Why)
}

// checkStopped checks what the node of this home would meet if it started.
func (a *app) checkStopped(cmd *cobra.Command, h home, set nodeSettings) []check {
	out := []check{warning("node", "start it: cairn node", "a node is set up on this home and does not run")}
	id, c := checkKey(h)
	out = append(out, c)
	for _, g := range set.Stores {
		out = append(out, checkStore(g, id))
	}
	return append(out, checkPorts(a.givenListen(cmd), set.Port))
}

// checkKey reads the node's identity. Where it cannot, id is empty, and nobody can
// tell whether a store is this node's.
func checkKey(h home) (id string, c check) {
	const name, mend = "identity", "restore it from a backup: without it this node is a new one, and its stores are another's"
	path := h.node(keyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", bad(name, mend, "%s is missing", path)
	}
	key, err := nodeKey(h)
	if err != nil {
		return "", bad(name, mend, "%v", err)
	}
	p, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return "", bad(name, mend, "%s holds no node's key", path)
	}
	return p.String(), fine(name, "%s; back up %s", p, path)
}

// checkStore looks into a folder that no node has open.
func checkStore(g gift, id string) check {
	const name = "store"
	f, err := storage.Inspect(storage.Config{Dir: g.Dir, Owner: id, Quota: g.Bytes, Existing: g.Made})
	switch {
	case errors.Is(err, storage.ErrSuspended), errors.Is(err, fs.ErrNotExist):
		return bad(name, mendMissing, "%s: its disk is missing", g.Dir)
	case errors.Is(err, storage.ErrForeign), err == nil && f.Owner != "" && id != "" && f.Owner != id:
		return bad(name, "name a folder of its own for this node: --donate SIZE:DIR", "%s is another node's", g.Dir)
	case err != nil:
		return bad(name, "run this as the user whose node it is, and look at the disk's health", "%s: %v", g.Dir, cause(err))
	case f.InUse:
		return bad(name, "stop the other node, or name another folder by --donate SIZE:DIR", "%s is in use by another node", g.Dir)
	}
	if err := tryWrite(g.Dir); err != nil && !isFull(err) {
		return bad(name, "give the node's user the right to write there, or mount the disk for writing", "%s cannot be written to: %v", g.Dir, cause(err))
	}
	return judgeStore(node.StoreStatus{Dir: g.Dir, Quota: g.Bytes, Used: f.Used, Free: f.Free, State: node.StoreOK})
}

// givenListen returns the addresses that the settings give for the node's --listen.
func (a *app) givenListen(cmd *cobra.Command) []multiaddr.Multiaddr {
	n := childCommand(cmd.Root(), "node")
	file, _, err := a.readSettings(cmd)
	f := n.Flags().Lookup("listen")
	if err != nil || applyFlag(n, f, file) != nil {
		return nil
	}
	texts, err := n.Flags().GetStringArray(f.Name)
	if err != nil {
		return nil
	}
	listen, err := parseListen(texts)
	if err != nil {
		return nil
	}
	return listen
}

// checkPorts opens and closes the ports at which the node would listen.
func checkPorts(given []multiaddr.Multiaddr, kept int) check {
	const name = "port"
	list := given
	if len(list) == 0 {
		if kept == 0 {
			kept = defaultPort
		}
		list = defaultListen(kept)
	}
	var texts []string
	for _, m := range list {
		texts = append(texts, m.String())
	}
	ports := strings.Join(portsOf(texts), " and ")
	for _, m := range list {
		switch err := p2p.PortFree(m); {
		case errors.Is(err, p2p.ErrPortTaken) && len(given) > 0:
			return bad(name, "stop the other program, or choose another port by --listen", "%s is taken by another program", m)
		case errors.Is(err, p2p.ErrPortTaken):
			return warning(name, "stop the other program; else the node takes another port and keeps it, and that one is to be forwarded", "port %s is taken by another program", ports)
		}
	}
	return fine(name, "port %s is free", ports)
}

// isFull reports whether err says that a disk has no room, which judgeStore judges.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }
