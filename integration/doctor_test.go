//go:build linux

package integration

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

// diagnosis is what docs/json.md promises of doctor.
type diagnosis struct {
	Situation string
	OK        bool
	Checks    []struct{ Check, Verdict, Text, Mend string }
}

// doctor asks for a diagnosis, for programs and as people see it.
func (p *person) doctor(what string) diagnosis {
	p.t.Helper()
	r := p.run("", "doctor", "--json")
	var d diagnosis
	if err := json.Unmarshal(r.Stdout, &d); err != nil || d.OK != (r.Code == 0) {
		p.t.Fatalf("doctor: exit status %d, %v: %s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	shown := p.run("", "doctor")
	p.t.Logf("%s:\n%s%s", what, shown.Stdout, shown.Stderr)
	if shown.Code != r.Code {
		p.t.Errorf("%s: exit status %d, and %d with --json", what, shown.Code, r.Code)
	}
	return d
}

// found checks one line of a diagnosis.
func (d diagnosis) found(t *testing.T, check, verdict, says string) {
	t.Helper()
	for _, c := range d.Checks {
		if c.Check == check && c.Verdict == verdict && strings.Contains(c.Text, says) {
			if (c.Mend == "") != (verdict == "ok") {
				t.Errorf("%s is %s and its mend is %q", check, verdict, c.Mend)
			}
			return
		}
	}
	t.Errorf("no line says that %s is %s, %q: %+v", check, verdict, says, d)
}

// mends checks how a diagnosis says that something can be put right.
func (d diagnosis) mends(t *testing.T, check, how string) {
	t.Helper()
	for _, c := range d.Checks {
		if c.Check == check && strings.Contains(c.Mend, how) {
			return
		}
	}
	t.Errorf("no line says that %s is mended so: %q: %+v", check, how, d)
}

// TestDoctorAllWell asks while a node runs, while the same node is stopped, and on
// a client's machine.
func TestDoctorAllWell(t *testing.T) {
	w := newTown(t, 3, launch.Config{})
	w.settle(3)
	node := w.Nodes()[1]
	beside := &person{w, node.Home, nil}
	path, _ := w.file("x", 1<<20)
	w.newcomer("a").put(path)

	d := beside.doctor("a node that runs")
	if d.Situation != "node" || !d.OK {
		t.Errorf("beside a node: %+v", d)
	}
	d.found(t, "node", "ok", node.Peer())
	d.found(t, "store", "ok", "free")
	d.found(t, "reach", "ok", "its own network")
	d.found(t, "network", "ok", "answered by 2 nodes")
	d.found(t, "clock", "ok", "the clocks of 2 nodes")

	d = w.newcomer("a").doctor("a client")
	if d.Situation != "client" || !d.OK {
		t.Errorf("a client: %+v", d)
	}
	d.found(t, "home", "ok", "writable")
	d.found(t, "network", "ok", "answered by 3 nodes")

	if _, err := node.Terminate(w.ctx); err != nil {
		t.Fatal(err)
	}
	d = beside.doctor("the node stopped")
	if d.Situation != "stopped node" || !d.OK {
		t.Errorf("beside a stopped node: %+v", d)
	}
	d.found(t, "node", "warn", "does not run")
	d.found(t, "identity", "ok", node.Peer())
	d.found(t, "store", "ok", "free")
	d.found(t, "network", "ok", "answered by 2 nodes") // remembered, not given
}

// TestDoctorPortTaken has another program listen where the node would.
func TestDoctorPortTaken(t *testing.T) {
	w := newTown(t, 1, launch.Config{})
	node := w.Nodes()[0]
	if _, err := node.Terminate(w.ctx); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	w.must(err)
	config := "[node]\nlisten = [\"/ip4/127.0.0.1/tcp/" + port + "\"]\n"
	w.must(os.WriteFile(filepath.Join(node.Home, "config.toml"), []byte(config), 0o600))
	d := (&person{w, node.Home, nil}).doctor("port taken")
	if d.OK {
		t.Error("a taken port is well")
	}
	d.found(t, "port", "bad", "/tcp/"+port+" is taken by another program")
}

// TestDoctorDiskFull fills a node's disk, under the node and without it.
func TestDoctorDiskFull(t *testing.T) {
	disk := smallDisk(t, 128<<20)
	w := newTown(t, 1, launch.Config{NodeArgs: []string{"--donate", "110MB:" + disk}})
	node := w.Nodes()[0]
	beside := &person{w, node.Home, nil}
	hog, err := os.Create(filepath.Join(disk, "hog"))
	w.must(err)
	page := make([]byte, 1<<20)
	for err == nil {
		_, err = hog.Write(page)
	}
	w.must(hog.Close())
	w.await("the node notices that its disk is full", func() bool {
		return beside.run("", "doctor").Code == 1
	})
	d := beside.doctor("disk full, the node runs")
	d.found(t, "store", "bad", "the disk is full")
	if _, err := node.Terminate(w.ctx); err != nil {
		t.Fatal(err)
	}
	d = beside.doctor("disk full, the node stopped")
	d.found(t, "store", "bad", "the disk is full")
	w.must(os.Remove(filepath.Join(disk, "hog")))
	if d = beside.doctor("disk freed"); !d.OK {
		t.Errorf("the disk has room again: %+v", d)
	}
}
