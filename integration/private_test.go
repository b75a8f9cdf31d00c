//go:build unix

package integration

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/p2p"
)

// marked makes a file whose content, name and folder hold markers.
func (w *town) marked(n needles) (path string) {
	w.t.Helper()
	mark := func(what string) string {
		text := fmt.Sprintf("%s-%016x%016x", what, w.rng.Uint64(), w.rng.Uint64())
		n.add(what, []byte(text))
		return text
	}
	dir := w.emptyFolder(mark("folder"))
	path = filepath.Join(dir, mark("name")+".txt")
	text := mark("content")
	var b bytes.Buffer
	for b.Len() < 6<<20 {
		b.WriteString(text)
		_, _ = io.CopyN(&b, w.noise(), int64(w.rng.IntN(900)))
	}
	w.must(os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// addKeys adds what opens a link and what its owner owns: the link's read
// secret, the keys behind it, the owner's secret and keys made from it.
func (n needles) addKeys(w *town, link, owner string) {
	w.t.Helper()
	l, err := protocol.ParseLink(link)
	w.must(err)
	n.add("link's secret", l.Read[:])
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	p, record := w.pointer(ctx, l)
	payload := seal.PayloadKey(seal.Key(l.Read), p.Salt)
	n.add("key of the pointer's payload", payload[:])
	plain, err := seal.OpenPayload(seal.Key(l.Read), p.Salt, p.Payload)
	w.must(err)
	target, err := protocol.ParseTarget(plain[:])
	w.must(err)
	n.add("key of the manifest", target.Extent.Key[:])
	n.add("secret of the manifest's segment", target.Extent.Secret[:])
	n.add("read key of the manifest's segment", seal.ReadKey(seal.Key(target.Extent.Secret)).Seed())

	text, err := os.ReadFile(filepath.Join(owner, "owner", "secret"))
	w.must(err)
	fields := strings.Fields(string(text))
	master, err := hex.DecodeString(fields[len(fields)-1])
	w.must(err)
	n.add("owner's secret", master)
	bundle := seal.Master(master).Bundle(0)
	n.add("owner key of the group", bundle.OwnerKey(record.Nonce).Seed())
	n.add("renew key of the group", bundle.RenewKey(record.Nonce).Seed())
}

// pointer asks the nodes for a link's pointer and home group.
func (w *town) pointer(ctx context.Context, l protocol.Link) (found *protocol.Pointer, record *protocol.GroupRecord) {
	w.t.Helper()
	boot, err := peer.AddrInfoFromString(w.Bootstrap(1)[0])
	w.must(err)
	h, err := p2p.New(ctx, p2p.Config{Network: "test", Bootstrap: []peer.AddrInfo{*boot}})
	w.must(err)
	defer func() { _ = h.Close() }()
	w.must(h.Wait(ctx))
	call := protocol.NewCaller(h)
	defer call.Close()
	m, err := call.Facts(ctx, boot.ID, &protocol.FactsRequest{Group: l.Home, Pointer: l.Pointer[:]})
	w.must(err)
	for _, f := range m.Facts {
		switch f.Kind {
		case protocol.FactPointer:
			found, err = protocol.OpenPointer("test", f.Bytes)
		case protocol.FactRecord:
			record, _, err = protocol.ParseGroupRecord("test", f.Bytes)
		}
		w.must(err)
	}
	if found == nil || record == nil {
		w.t.Fatal("the first node does not hold the link's pointer")
	}
	return found, record
}

// TestPrivate looks for a file's content, name and folder, for its link and
// for its owner's keys on every node's disk, in every log, in what crosses a
// line, in the arguments of processes and in what dying processes print.
func TestPrivate(t *testing.T) {
	slow(t)
	needsProc(t)
	w := newTown(t, 3, launch.Config{NodeArgs: []string{"--log-level", "debug"}}) // so few that each is a holder
	w.settle(3)
	n := make(needles)
	path := w.marked(n)
	source, err := os.ReadFile(path)
	w.must(err)
	if len(n.in(source)) == 0 || len(n.in([]byte(path))) == 0 {
		t.Fatal("the markers are not even where they belong")
	}
	args := watchArguments(t)
	line := newProxy(t, w.Nodes()[0])
	a := &person{w, w.Home("a"), []string{line.addr}}
	stored := a.run("", "put", path, "--log-level", "debug", "--hints", "--name", filepath.Base(path))
	if stored.Code != 0 {
		t.Fatalf("put: %s", stored.Stderr)
	}
	link := strings.TrimSpace(string(stored.Stdout))
	b := &person{w, w.Home("b"), []string{line.addr}}
	got := b.run(link+"\n", "cat", "-", "--log-level", "debug")
	if got.Code != 0 || !bytes.Equal(got.Stdout, source) {
		t.Fatalf("get: %d bytes: %s", len(got.Stdout), got.Stderr)
	}
	asked := b.run(link+"\n", "health", "-", "--log-level", "debug")
	traces := a.dying(link)

	keys := make(needles)
	keys.addKeys(w, link, a.home)
	for name, b := range keys {
		n[name] = b
	}
	keys.search(t, "standard error of put", stored.Stderr)
	keys.search(t, "standard error of cat", got.Stderr)
	keys.search(t, "standard error of health", asked.Stderr)
	keys.search(t, "standard output of health", asked.Stdout)
	keys.search(t, "a dying process's last words", traces)
	n.search(t, "the line to a node", line.traffic())
	keys.search(t, "arguments and environment of a process", args())
	n.searchTree(t, b.home)
	read := int64(0)
	for _, node := range w.Nodes() {
		read += n.searchTree(t, node.Home)
		log, err := os.ReadFile(node.LogPath())
		w.must(err)
		n.search(t, "the log of "+node.Name, log)
		if !contains(log, "level=DEBUG") && !contains(log, `"level":"DEBUG"`) {
			t.Errorf("%s logs nothing at level debug: the test tests less than it says", node.Name)
		}
	}
	if passed := len(line.traffic()); read < int64(len(source)) || passed < 1<<20 {
		t.Errorf("only %d bytes found on disks and %d on the line", read, passed)
	}
}

// watchArguments gathers, until asked, the arguments and the environment of
// every process on this machine.
func watchArguments(t *testing.T) func() []byte {
	t.Helper()
	seen := make(map[string]bool)
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-stop:
				return
			}
			list, _ := os.ReadDir("/proc")
			for _, e := range list {
				if pid, err := strconv.Atoi(e.Name()); err == nil {
					seen[string(procRead(pid, "cmdline"))+"\n"+string(procRead(pid, "environ"))] = true
				}
			}
		}
	})
	var once sync.Once
	end := func() { once.Do(func() { close(stop) }); watching.Wait() }
	t.Cleanup(end)
	return func() []byte {
		end()
		var all []byte
		for text := range seen {
			all = append(append(all, text...), '\n')
		}
		return all
	}
}

// dying kills a put, a get and nodes by signals whose default is to print every
// goroutine's stack, while they have secrets in their hands, and returns
// what they print.
func (p *person) dying(link string) (said []byte) {
	p.t.Helper()
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT} {
		said = append(said, p.dyingPut(sig)...)
		said = append(said, p.dyingGet(sig, link)...)
	}
	nodes := p.Nodes()
	for i, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT} {
		n := nodes[len(nodes)-1-i]
		p.must(syscall.Kill(n.PID(), sig))
		p.await("a node dies by "+sig.String(), func() bool { return !n.Running() })
		log, err := os.ReadFile(n.LogPath())
		p.must(err)
		p.noTrace("node", sig, log)
		p.must(n.Restart(p.ctx))
	}
	return said
}

// noTrace checks that a process printed no stack.
func (p *person) noTrace(what string, sig syscall.Signal, said []byte) {
	p.t.Helper()
	if contains(said, "goroutine ") {
		p.t.Errorf("%s prints its stacks on %s: %.2000s", what, sig, said)
	}
}

// dyingPut makes a put die in the middle of its source.
func (p *person) dyingPut(sig syscall.Signal) []byte {
	p.t.Helper()
	in, feed, err := os.Pipe()
	p.must(err)
	defer func() { _ = feed.Close() }()
	r := p.start(in, "put", "-", "--log-level", "debug")
	_ = in.Close()
	_, err = io.CopyN(feed, p.noise(), 5<<20) // beyond what a pipe holds: it is being read
	p.must(err)
	p.must(r.Process.Signal(sig))
	res := p.end(r)
	p.noTrace("put", sig, res.Stderr)
	return append(res.Stderr, res.Stdout...)
}

// dyingGet makes a get die in the middle of its output, the rest of which nobody
// reads.
func (p *person) dyingGet(sig syscall.Signal, link string) []byte {
	p.t.Helper()
	cmd := p.Command(p.ctx, p.home, p.args([]string{"cat", "-", "--log-level", "debug"})...)
	var log bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(link+"\n"), &log
	out, err := cmd.StdoutPipe()
	p.must(err)
	p.must(cmd.Start())
	_, err = io.ReadFull(out, make([]byte, 1))
	p.must(err)
	p.must(cmd.Process.Signal(sig))
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // by the signal, or by its exit status
	p.noTrace("get", sig, log.Bytes())
	return log.Bytes()
}

// TestPrivateOnTheWire keeps what nodes are told and tell, with the transport's
// cipher off, as a node's owner could.
func TestPrivateOnTheWire(t *testing.T) {
	slow(t)
	w := newLiarTown(t, 3) // so few that each is a holder
	w.settle(3)
	for _, node := range w.Nodes() {
		w.must(os.Mkdir(filepath.Join(node.Home, "wire"), 0o700))
	}
	n := make(needles)
	path := w.marked(n)
	a := w.newcomer("a")
	res := a.put(path)
	source, err := os.ReadFile(path)
	w.must(err)
	if r := w.newcomer("b").run(res.Link+"\n", "cat", "-"); !bytes.Equal(r.Stdout, source) {
		t.Fatalf("get: %d bytes: %s", len(r.Stdout), r.Stderr)
	}
	n.addKeys(w, res.Link, a.home)
	read := int64(0)
	for _, node := range w.Nodes() {
		read += n.searchTree(t, node.Home)
	}
	if read < 3*int64(len(source)) {
		t.Errorf("only %d bytes were kept of what went over the lines", read)
	}
}
