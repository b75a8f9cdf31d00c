//go:build linux

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/node"
)

// mountpoint binds a folder of a disk to a path of its own, from which it can be
// unmounted and mounted again.
func (w *town) mountpoint(disk, name string) string {
	w.t.Helper()
	dir := w.emptyFolder(name)
	w.mount(disk, dir)
	w.t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // it may be unmounted already
	return dir
}

func (w *town) mount(disk, dir string) {
	w.t.Helper()
	w.must(syscall.Mount(disk, dir, "", syscall.MS_BIND, ""))
}

// unmount takes a disk away, even if it is in use.
func (w *town) unmount(dir string) {
	w.t.Helper()
	w.must(syscall.Unmount(dir, syscall.MNT_DETACH))
}

// awaitStores waits until a node's stores are in these states.
func (w *town) awaitStores(n *launch.Node, states ...string) (st node.Status) {
	w.t.Helper()
	w.await(fmt.Sprintf("the stores of %s are %v", n.Name, states), func() bool {
		st = w.status(n)
		for i, s := range st.Stores {
			if s.State != states[i] {
				return false
			}
		}
		return true
	})
	return st
}

// proves reports whether the holder of a link's content on a node proves it.
func (w *town) proves(n *launch.Node, link string) bool {
	w.t.Helper()
	h, nodes := w.newcomer("gauge").holders(link)
	for _, o := range h.Holders {
		if nodes[o.Slot] == n {
			return o.Proved
		}
	}
	return false
}

// TestUnmounted takes the disk of a holder away for longer than a silent holder
// would be tolerated, and brings it back. Meanwhile the holder says so and nobody
// takes its place; afterwards it serves, without a restart.
func TestUnmounted(t *testing.T) {
	slow(t)
	t.Parallel() // it waits most of its time
	disk := smallDisk(t, 256<<20)
	w := newTown(t, 5, launch.Config{NodeArgs: hasty})
	dir := w.mountpoint(disk, "mnt")
	n := w.addNodes(1, "--donate", "200MB:"+filepath.Join(dir, "store"))[0]
	w.settle(6)
	path, sum := w.file("x.bin", 4<<20)
	res := w.newcomer("owner").put(path, "--profile", "2/4/6")
	if res.Stored != 6 {
		t.Fatalf("put: %+v", res)
	}
	w.unmount(dir)
	begun := time.Now()
	st := w.awaitStores(n, node.StoreSuspended)
	t.Logf("suspended after %s: %s", time.Since(begun).Round(time.Second), st.Stores[0].Why)
	if st.Free != 0 || st.Shards == 0 {
		t.Errorf("status without a disk: %+v", st)
	}
	member := w.Nodes()[1]
	w.await("a member knows of it", func() bool { return w.status(member).Neighbours["suspended"] == 1 })
	w.await("it proves nothing off a disk that is away", func() bool { return !w.proves(n, res.Link) })
	w.newcomer("stranger").get(res.Link, sum)
	w.await("more time goes by than who is silent is given", func() bool {
		for _, m := range w.Nodes()[:5] {
			if st := w.status(m); st.Vacant > 0 || st.Neighbours["gone"] > 0 || st.Traffic.Repaired > 0 {
				t.Fatalf("%s takes it for gone after %s: %+v", m.Name, time.Since(begun), st)
			}
		}
		return time.Since(begun) > 30*time.Second // of 22
	})
	w.noLeftovers(dir)
	w.mount(disk, dir)
	begun = time.Now()
	w.awaitStores(n, node.StoreOK)
	w.await("it proves its shards again", func() bool { return w.proves(n, res.Link) })
	t.Logf("serves again after %s", time.Since(begun).Round(time.Second))
	for _, m := range w.Nodes() {
		if st := w.status(m); st.Vacant > 0 || st.Traffic.Repaired > 0 || st.Scrub.Damaged > 0 || st.Traffic.Mended > 0 {
			t.Errorf("%s, when the disk was back: %+v", m.Name, st)
		}
	}
	again, _ := w.file("y.bin", 1<<20)
	if res := w.newcomer("owner").put(again, "--profile", "2/4/6"); res.Stored != 6 {
		t.Errorf("put when the disk was back: %+v", res)
	}
}

// TestOneOfTwoDisks takes one of a node's two disks away: what lies on the other
// is served all the while. Groups that the node does not know have to wait: they
// might be on the missing disk.
func TestOneOfTwoDisks(t *testing.T) {
	slow(t)
	t.Parallel() // it waits most of its time
	disk := smallDisk(t, 256<<20)
	w := newTown(t, 2, launch.Config{NodeArgs: hasty})
	dir := w.mountpoint(disk, "mnt")
	n := w.addNodes(1, "--donate", "200MB:"+filepath.Join(dir, "store"), "--donate", "200MB:"+filepath.Join(w.Dir(), "other"))[0]
	w.settle(3)
	var links []string
	for i := range 4 {
		path, _ := w.file(fmt.Sprintf("x-%d", i), 1<<20)
		links = append(links, w.newcomer(fmt.Sprintf("owner-%d", i)).put(path, "--profile", "1/2/3").Link)
	}
	st := w.status(n)
	if st.Stores[0].Used == 0 || st.Stores[1].Used == 0 {
		t.Fatalf("one disk is empty: the test tests nothing: %+v", st.Stores)
	}
	proved := func() (count int) {
		for _, link := range links {
			if w.proves(n, link) {
				count++
			}
		}
		return count
	}
	w.unmount(dir)
	w.awaitStores(n, node.StoreSuspended, node.StoreOK)
	w.await("what lay there is not proved, and the rest is", func() bool {
		count := proved()
		return count > 0 && count < len(links)
	})
	path, _ := w.file("meanwhile", 1<<20)
	if res := w.newcomer("owner-4").put(path); res.N != 2 || res.Stored != 2 {
		t.Errorf("put by somebody new with one disk of two: %+v", res)
	}
	w.noLeftovers(dir)
	w.mount(disk, dir)
	w.awaitStores(n, node.StoreOK, node.StoreOK)
	w.await("everything is proved again", func() bool { return proved() == len(links) })
	if res := w.newcomer("owner-5").put(path, "--profile", "1/2/3"); res.Stored != 3 {
		t.Errorf("put by somebody new with both disks: %+v", res)
	}
}

// TestReadOnlyAtStart: a node does not start on a disk that is mounted read-only,
// and says so in a sentence; once the disk is mounted for writing, nothing is lost.
// It cannot be remounted read-only while the node runs.
func TestReadOnlyAtStart(t *testing.T) {
	slow(t)
	disk := smallDisk(t, 256<<20)
	w := newTown(t, 2, launch.Config{})
	n := w.addNodes(1, "--donate", "200MB:"+disk)[0]
	w.settle(3)
	path, sum := w.file("x.bin", 1<<20)
	res := w.newcomer("owner").put(path, "--profile", "1/2/3")
	remount := func(flags uintptr) error { return syscall.Mount("", disk, "", syscall.MS_REMOUNT|flags, "") }
	if err := remount(syscall.MS_RDONLY); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("under a node that runs: %v, want EBUSY", err)
	}
	if _, err := n.Terminate(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.must(remount(syscall.MS_RDONLY))
	if err := n.Restart(w.ctx); err == nil || !strings.Contains(err.Error(), "read-only") || !strings.Contains(err.Error(), "mount it for writing") {
		t.Errorf("start on a read-only disk: %v", err)
	}
	w.must(remount(0))
	w.must(n.Restart(w.ctx))
	w.await("it proves its shards again", func() bool { return w.proves(n, res.Link) })
	w.newcomer("stranger").get(res.Link, sum)
}

// erringDisk is an ext4 file system on a loop device that can be made to fail.
type erringDisk struct {
	t           *testing.T
	image, loop string
}

func newErringDisk(t *testing.T, bytes int64) *erringDisk {
	t.Helper()
	for _, tool := range []string{"losetup", "mkfs.ext4", "e2fsck"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	d := &erringDisk{t: t, image: filepath.Join(t.TempDir(), "image")}
	f, err := os.Create(d.image)
	if err == nil {
		err = errors.Join(f.Truncate(bytes), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", d.image).CombinedOutput()
	if err != nil {
		t.Skipf("no loop device: %s", out)
	}
	d.loop = strings.TrimSpace(string(out))
	t.Cleanup(func() { d.run("losetup", "--detach", d.loop) })
	d.run("mkfs.ext4", "-q", d.loop)
	return d
}

func (d *erringDisk) run(args ...string) {
	d.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		d.t.Fatalf("%v: %v: %s", args, err, out)
	}
}

func (d *erringDisk) mount(dir string) {
	d.t.Helper()
	if err := syscall.Mount(d.loop, dir, "ext4", 0, "errors=remount-ro"); err != nil {
		d.t.Skip("ext4 cannot be mounted: ", err)
	}
	d.t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // it may be unmounted already
}

// err makes the kernel find an error: the file system turns read-only under all
// open files.
func (d *erringDisk) err() {
	d.t.Helper()
	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(d.loop), "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("a test"), 0); err != nil {
		d.t.Skip("no error can be made: ", err)
	}
}

// TestDiskTurnsReadOnly makes the file system of a holder turn read-only, as ext4
// does when its disk fails: the holder serves what it has and refuses what comes,
// and goes on once the disk was unmounted, checked and mounted again.
func TestDiskTurnsReadOnly(t *testing.T) {
	slow(t)
	t.Parallel() // it waits most of its time
	disk := newErringDisk(t, 256<<20)
	w := newTown(t, 2, launch.Config{})
	dir := w.emptyFolder("mnt")
	disk.mount(dir)
	n := w.addNodes(1, "--donate", "150MB:"+filepath.Join(dir, "store"))[0]
	w.settle(3)
	a := w.newcomer("a")
	put := func(name string, stored int) (res putResult) {
		path, _ := w.file(name, 1<<20)
		out := a.run("", "put", path, "--wait", "1s", "--json")
		if err := json.Unmarshal(out.Stdout, &res); err != nil || res.Stored != stored {
			t.Errorf("%s: stored %d, want %d; exit status %d: %s", name, res.Stored, stored, out.Code, out.Stderr)
		}
		return res
	}
	before := put("before", 3)
	disk.err()
	during := put("during", 2)
	st := w.awaitStores(n, node.StoreFailed)
	if !strings.Contains(st.Stores[0].Why, "read-only") || st.Free != 0 {
		t.Errorf("status: %+v", st)
	}
	if !w.proves(n, before.Link) {
		t.Error("what it has is not proved off a read-only disk")
	}
	w.unmount(dir)
	w.awaitStores(n, node.StoreSuspended)
	w.await("the disk can be checked", func() bool {
		cmd := exec.Command("e2fsck", "-f", "-y", disk.loop)
		_ = cmd.Run() // 1: it was repaired; 8: it is in use
		return cmd.ProcessState.ExitCode()&^1 == 0
	})
	disk.mount(dir)
	w.awaitStores(n, node.StoreOK)
	if !w.proves(n, before.Link) {
		t.Error("what it had before is not proved")
	}
	put("after", 3)
	for _, link := range []string{before.Link, during.Link} {
		if r := w.newcomer("b").run(link+"\n", "cat", "-"); r.Code != 0 {
			t.Errorf("cat: exit status %d: %s", r.Code, r.Stderr)
		}
	}
}
