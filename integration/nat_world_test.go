//go:build linux

package integration

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What a router's NAT does with connections from the inside.
const (
	// portRestricted gives a socket inside one port outside, whichever peers it
	// talks to, and lets in only peers that it has talked to.
	portRestricted = "masquerade"
	// symmetric gives every connection a port of its own, which nobody can predict.
	symmetric = "masquerade random,fully-random"
)

// internet is a network of namespaces: hosts with public addresses on one
// bridge, and homes behind routers. No packet leaves the machine.
type internet struct {
	t      *testing.T
	ctx    context.Context
	prefix string // of the names of namespaces
	dir    string // of homes, logs and files
	bin    string
	rng    *rand.Rand
	hosts  int
}

func newInternet(t *testing.T) *internet {
	t.Helper()
	slow(t)
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("network namespaces need %s (Debian: iproute2, nftables)", tool)
		}
	}
	seed := rand.Uint64()
	w := &internet{
		t: t, ctx: t.Context(), prefix: fmt.Sprintf("cairn%d", rand.Uint32N(1<<16)),
		rng: rand.New(rand.NewPCG(seed, 0)), bin: program(t, "cmd/cairn"),
	}
	dir, err := os.MkdirTemp("", "cairn-nat-") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	w.dir = dir
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d, homes and logs in %s", seed, dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	if err := w.wire(); err != nil {
		t.Skipf("this machine makes no network namespaces with bridges and NAT: %v", err)
	}
	return w
}

// wire makes the namespace of the bridge. It does everything there once that a
// router needs, to find out whether the machine allows it.
func (w *internet) wire() error {
	if err := w.space("wire"); err != nil {
		return err
	}
	return errors.Join(
		w.try("wire", "ip link add wire type bridge", ""),
		w.try("wire", "ip link set wire up", ""),
		w.try("wire", forwarding, "1"),
		w.try("wire", "nft -f -", router(symmetric)),
	)
}

// forwarding takes 1 or 0.
const forwarding = "tee /proc/sys/net/ipv4/ip_forward"

// router is what nft is told in a router.
func router(nat string) string {
	return fmt.Sprintf(`
		table ip nat {
			chain out { type nat hook postrouting priority srcnat; oifname "wan" %s; }
		}
		table ip wall {
			chain here { type filter hook input priority filter; iifname "wan" ct state new,invalid drop; }
			chain through { type filter hook forward priority filter; iifname "wan" ct state new,invalid drop; }
		}`, nat)
}

func (w *internet) name(space string) string { return w.prefix + "-" + space }

// space makes a namespace that goes with the test.
func (w *internet) space(name string) error {
	if out, err := exec.CommandContext(w.ctx, "ip", "netns", "add", w.name(name)).CombinedOutput(); err != nil {
		return fmt.Errorf("ip netns add: %w: %s", err, out)
	}
	w.t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", w.name(name)).Run() })
	return w.try(name, "ip link set lo up", "")
}

// try runs a command in a namespace.
func (w *internet) try(space, command, stdin string) error {
	c := exec.CommandContext(w.ctx, "ip", append([]string{"netns", "exec", w.name(space)}, strings.Fields(command)...)...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %s: %w: %s", space, command, err, out)
	}
	return nil
}

// in runs a command that must succeed.
func (w *internet) in(space, command string) {
	w.t.Helper()
	w.input(space, command, "")
}

func (w *internet) input(space, command, stdin string) {
	w.t.Helper()
	if err := w.try(space, command, stdin); err != nil {
		w.t.Fatal(err)
	}
}

func (w *internet) mustSpace(name string) {
	w.t.Helper()
	if err := w.space(name); err != nil {
		w.t.Fatal(err)
	}
}

// cable joins two namespaces by a link whose ends have a name each.
func (w *internet) cable(a, nameA, b, nameB string) {
	w.t.Helper()
	w.in(a, fmt.Sprintf("ip link add %s type veth peer name %s netns %s", nameA, nameB, w.name(b)))
	w.in(a, "ip link set "+nameA+" up")
	w.in(b, "ip link set "+nameB+" up")
}

// host makes a namespace with a public address in a /16 of its own.
func (w *internet) host(name string) {
	w.t.Helper()
	w.mustSpace(name)
	w.hosts++
	port := fmt.Sprintf("port%d", w.hosts)
	w.cable("wire", port, name, "wan")
	w.in("wire", "ip link set "+port+" master wire")
	w.in(name, fmt.Sprintf("ip addr add 20.%d.1.1/8 dev wan", w.hosts))
}

// home makes a namespace behind a router that drops what was not asked for from
// inside.
func (w *internet) home(name, nat string) {
	w.t.Helper()
	between := name + "-router"
	w.host(between)
	w.mustSpace(name)
	w.cable(between, "lan", name, "eth")
	w.in(between, "ip addr add 192.168.1.1/24 dev lan")
	w.input(between, forwarding, "1")
	w.in(name, "ip addr add 192.168.1.2/24 dev eth")
	w.in(name, "ip route add default via 192.168.1.1")
	w.input(between, "nft -f -", router(nat))
}

// forward opens the node's port in a home's router.
func (w *internet) forward(home string) {
	w.t.Helper()
	w.input(home+"-router", "nft -f -", `
		add chain ip nat in { type nat hook prerouting priority dstnat; }
		add rule ip nat in iifname "wan" meta l4proto { tcp, udp } th dport 4401 dnat to 192.168.1.2
		insert rule ip wall through iifname "wan" ip daddr 192.168.1.2 accept`)
}

// donor is a node in a namespace.
type donor struct {
	w     *internet
	space string
	dir   string // its home
	stop  func()
	Peer  string
	Addrs []string
}

// command prepares the program in a namespace, with output for programs.
func (w *internet) command(ctx context.Context, space, home string, args ...string) *exec.Cmd {
	return w.plain(ctx, space, home, append(slices.Clip(args), "--json")...)
}

// plain is command with output for people.
func (w *internet) plain(ctx context.Context, space, home string, args ...string) *exec.Cmd {
	all := append([]string{"netns", "exec", w.name(space), w.bin}, args...)
	c := exec.CommandContext(ctx, "ip", append(all, "--home", home, "--network", "nat", "--no-mdns")...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 15 * time.Second
	return c
}

// donor starts a node and waits until it serves.
func (w *internet) donor(space string, know ...*donor) *donor {
	w.t.Helper()
	d := &donor{w: w, space: space, dir: filepath.Join(w.dir, space)}
	args := []string{"node", "--donate", "1GB", "--log-level", "debug"}
	for _, k := range know {
		args = append(args, "--bootstrap", k.Addrs[0])
	}
	log, err := os.Create(filepath.Join(w.dir, space+".log"))
	if err != nil {
		w.t.Fatal(err)
	}
	c := w.command(context.WithoutCancel(w.ctx), space, d.dir, args...)
	c.Stderr = log
	out, err := c.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	d.stop = sync.OnceFunc(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		_ = log.Close()
	})
	w.t.Cleanup(d.stop)
	late := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	defer late.Stop()
	line, _ := bufio.NewReader(out).ReadBytes('\n')
	if err := json.Unmarshal(line, d); err != nil || len(d.Addrs) == 0 {
		w.t.Fatalf("%s does not start: %v: %q, see %s", space, err, line, log.Name())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return d
}

// natStatus is what this test reads of node status.
type natStatus struct {
	Addrs            []string
	Reachable, Why   string
	Relays           []string
	Punched, Carried int64
	Donors           int
	Traffic          struct{ Puts, Gets int64 }
}

func (d *donor) status() (s natStatus) {
	d.w.t.Helper()
	d.w.ok(d.space, d.dir, &s, "", "node", "status")
	return s
}

// doctor asks for a diagnosis beside the node, and tells it as people see it.
func (d *donor) doctor(what string) (found diagnosis) {
	d.w.t.Helper()
	ctx, cancel := context.WithTimeout(d.w.ctx, patience)
	defer cancel()
	c := d.w.command(ctx, d.space, d.dir, "doctor")
	out, _ := c.Output() // what is bad makes the exit status
	if err := json.Unmarshal(out, &found); err != nil || found.OK != c.ProcessState.Success() {
		d.w.t.Fatalf("%s: cairn doctor: %v: %s: %s", d.space, err, c.ProcessState, out)
	}
	shown, _ := d.w.plain(ctx, d.space, d.dir, "doctor").CombinedOutput()
	d.w.t.Logf("%s:\n%s", what, shown)
	return found
}

// ok runs a command that must succeed and decodes its result.
func (w *internet) ok(space, home string, result any, stdin string, args ...string) {
	w.t.Helper()
	out := w.run(space, home, stdin, args...)
	if err := json.Unmarshal(out, result); err != nil {
		w.t.Fatalf("%s: cairn %s: %v in %s", space, args[0], err, out)
	}
}

func (w *internet) run(space, home, stdin string, args ...string) []byte {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	c := w.command(ctx, space, home, args...)
	var log bytes.Buffer
	c.Stdin, c.Stderr = strings.NewReader(stdin), &log
	out, err := c.Output()
	if err != nil {
		w.t.Fatalf("%s: cairn %s: %v\n%s", space, strings.Join(args, " "), err, log.Bytes())
	}
	return out
}

// await polls a condition.
func (w *internet) await(what string, most time.Duration, holds func() bool) {
	w.t.Helper()
	begun := time.Now()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if <-tick.C; time.Since(begun) > most {
			w.t.Fatalf("it never came to pass that %s", what)
		}
	}
	w.t.Logf("%s: %s", time.Since(begun).Round(100*time.Millisecond), what)
}

// file writes a file of random bytes.
func (w *internet) file(name string, size int) (path string, sum [32]byte) {
	w.t.Helper()
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(w.rng.Uint32())
	}
	data := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(data)
	path = filepath.Join(w.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path, sha256.Sum256(data)
}
