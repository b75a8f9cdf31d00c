package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
)

func (d *demo) start(ctx context.Context) (string, error) {
	if _, err := d.lab.AddNodes(ctx, d.flags.nodes); err != nil {
		return "", err
	}
	var view networkResult
	if err := d.ask(ctx, "a", &view, "", "network"); err != nil {
		return "", err
	}
	if view.Nodes != d.flags.nodes {
		return "", fmt.Errorf("client A sees %d of %d nodes", view.Nodes, d.flags.nodes)
	}
	return fmt.Sprintf("%d nodes are up; client A, new to the network, knows one of them and finds all, %s free", view.Nodes, bytesText(view.Free)), nil
}

// makeFile fills a file with random bytes, and a marker every MiB.
func (d *demo) makeFile(context.Context) (string, error) {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	d.marker = []byte("the quick brown fox " + hex.EncodeToString(id[:]))
	d.name = "holiday-" + hex.EncodeToString(id[:]) + ".mp4"
	d.path = filepath.Join(d.lab.Dir(), d.name)
	f, err := os.OpenFile(d.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	w := io.MultiWriter(f, sum)
	page := make([]byte, 1<<20)
	for range demoSize / len(page) {
		_, _ = rand.Read(page)
		copy(page, d.marker)
		if _, err := w.Write(page); err != nil {
			return "", errors.Join(err, f.Close())
		}
	}
	d.sum = [32]byte(sum.Sum(nil))
	return fmt.Sprintf("%s, SHA-256 %.8x…", d.name, d.sum), f.Close()
}

func (d *demo) store(ctx context.Context) (string, error) {
	if err := d.ask(ctx, "a", &d.put, "", "put", d.path, "--hints"); err != nil {
		return "", err
	}
	p := d.put
	if p.Size != demoSize || p.N > d.flags.nodes || p.Stored != p.N || !p.Safe {
		return "", fmt.Errorf("stored %d of %d shards of %d bytes, safe: %v", p.Stored, p.N, p.Size, p.Safe)
	}
	link, err := protocol.ParseLink(p.Link)
	if err != nil {
		return "", err
	}
	link.Hints = nil
	if d.bare, err = link.Text(); err != nil {
		return "", err
	}
	return fmt.Sprintf("profile %d/%d/%d: %d segments, each in %d shards on %d nodes, any %d give it back; a link of %d characters, %d without addresses",
		p.K, p.R, p.N, p.Segments, p.N, p.N, p.K, len(p.Link), len(d.bare)), nil
}

// searchDisks reads all that nodes have written.
func (d *demo) searchDisks(ctx context.Context) (string, error) {
	secret := strings.TrimPrefix(d.bare, protocol.LinkPrefix)
	s := &scanner{needles: [][]byte{d.marker, []byte(d.name), []byte(secret[:len(secret)-8])}}
	for _, n := range d.lab.Nodes() {
		if err := s.tree(ctx, n.Home); err != nil {
			return "", err
		}
		if err := s.file(n.LogPath()); err != nil {
			return "", err
		}
	}
	if s.read < demoSize {
		return "", fmt.Errorf("only %s found on the disks of all nodes", bytesText(s.read))
	}
	return fmt.Sprintf("nothing in %s: the nodes hold ciphertext and know neither name nor link", bytesText(s.read)), nil
}

// kill finds the holders by health, and kills those of all data slots and some more,
// as far as the profile tolerates it. At least one hinted holder stays alive.
func (d *demo) kill(ctx context.Context) (string, error) {
	var h healthResult
	if err := d.ask(ctx, "a", &h, d.put.Link+"\n", "health", stdio); err != nil {
		return "", err
	}
	if h.Reachable != h.N {
		return "", fmt.Errorf("%d of %d shards proved", h.Reachable, h.N)
	}
	hinted, err := hintedPeers(d.put.Link)
	if err != nil {
		return "", err
	}
	doomed := chooseDoomed(h, hinted)
	d.first = make(map[string]bool)
	for _, o := range h.Holders {
		d.first[o.Peer] = true
	}
	for _, p := range doomed {
		n := d.lab.Node(p)
		if n == nil {
			return "", fmt.Errorf("holder %s is no node of this demo", p)
		}
		if err := n.Kill(); err != nil {
			return "", err
		}
		d.killed = append(d.killed, n)
		delete(hinted, p)
	}
	if len(hinted) == 0 {
		return "", errors.New("no holder that the link names lives")
	}
	d.bystander, d.fresh = d.pickBystander(d.first), len(doomed)
	return fmt.Sprintf("%d of %d holders proved a random leaf each; killed %d of them: %s. %d live, %d are needed",
		h.Reachable, h.N, len(d.killed), nodeNames(d.killed), h.N-len(d.killed), h.K), nil
}

// chooseDoomed returns the holders of the data slots, then others, hinted ones last.
func chooseDoomed(h healthResult, hinted map[string]bool) []string {
	most := min(h.K+demoSpare, h.N-h.K)
	var doomed []string
	seen := make(map[string]bool)
	take := func(want func(healthHolder) bool) {
		for _, o := range h.Holders {
			if len(doomed) < most && !seen[o.Peer] && o.Peer != "" && want(o) {
				seen[o.Peer] = true
				doomed = append(doomed, o.Peer)
			}
		}
	}
	take(func(o healthHolder) bool { return o.Slot < h.K })
	take(func(o healthHolder) bool { return !hinted[o.Peer] })
	take(func(healthHolder) bool { return true })
	return doomed
}

func hintedPeers(link string) (map[string]bool, error) {
	l, err := protocol.ParseLink(link)
	if err != nil {
		return nil, err
	}
	out := make(map[string]bool)
	for _, m := range l.Hints {
		text := m.String()
		out[text[strings.LastIndexByte(text, '/')+1:]] = true
	}
	return out, nil
}

// pickBystander returns a living node that holds nothing of the file, or any
// living one if all hold some of it.
func (d *demo) pickBystander(holders map[string]bool) string {
	var members []*launch.Node
	for _, n := range d.lab.Nodes() {
		if holders[n.Peer()] {
			members = append(members, n)
		}
	}
	if idle := d.lab.Bootstrap(1, members...); len(idle) > 0 {
		d.idle = true
		return idle[0]
	}
	return d.lab.Bootstrap(1)[0]
}

func nodeNames(nodes []*launch.Node) string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
	}
	return strings.Join(names, ", ")
}

func (d *demo) getByHints(ctx context.Context) (string, error) {
	return d.getBack(ctx, "b", d.put.Link, nil)
}

func (d *demo) getByDHT(ctx context.Context) (string, error) {
	result, err := d.getBack(ctx, "c", d.bare, []string{d.bystander})
	if err == nil && d.idle {
		result += "; the node that it knows holds nothing of it"
	}
	return result, err
}

// getBack gets the file in a fresh home and compares.
func (d *demo) getBack(ctx context.Context, who, link string, bootstrap []string) (string, error) {
	path := filepath.Join(d.lab.Dir(), who+"-"+d.name)
	args := []string{"get", stdio, path}
	for _, b := range bootstrap {
		args = append(args, "--bootstrap", b)
	}
	var got getResult
	if err := d.command(ctx, who, &got, link+"\n", args...); err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(sum.Sum(nil), d.sum[:]) {
		return "", fmt.Errorf("client %s got other bytes: SHA-256 %.8x…", strings.ToUpper(who), sum.Sum(nil))
	}
	d.got++
	return fmt.Sprintf("client %s has %s, SHA-256 %.8x…: the same", strings.ToUpper(who), bytesText(n), sum.Sum(nil)), nil
}

// ask runs a command as a client that knows one node, the first.
func (d *demo) ask(ctx context.Context, who string, result any, stdin string, args ...string) error {
	return d.command(ctx, who, result, stdin, append(args, "--bootstrap", d.lab.Bootstrap(1)[0])...)
}

// command runs this program with --json and decodes its result. Secrets go to its
// standard input.
func (d *demo) command(ctx context.Context, who string, result any, stdin string, args ...string) error {
	r, err := d.lab.Run(ctx, d.lab.Home("client-"+who), strings.NewReader(stdin), append(args, "--json")...)
	if err != nil {
		return err
	}
	if r.Code != 0 {
		said := bytes.TrimSpace(r.Stderr)
		return fmt.Errorf("cairn %s: exit status %d: %s", args[0], r.Code, said[bytes.LastIndexByte(said, '\n')+1:])
	}
	if err := json.Unmarshal(r.Stdout, result); err != nil {
		return fmt.Errorf("cairn %s: %w", args[0], err)
	}
	return nil
}
