package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"

	cairnnode "github.com/cairnstore/cairn/node"
)

// v1 is an owner's home, a node's store, a link and what it opens, as the
// first version wrote them. Every later one must open them.
const v1 = "testdata/v1"

var v1Seed = [32]byte{1} // of the node's identity

// v1World starts one node on the store in dir.
func v1World(t *testing.T, dir string) (*memnet.Net, *memnet.Peer) {
	t.Helper()
	net := memnet.New(memnet.Config{})
	t.Cleanup(func() { _ = net.Close() })
	p := net.Peer(memnet.PeerConfig{Seed: v1Seed, Server: true})
	disk, err := storage.Open(storage.Config{Dir: filepath.Join(dir, "store"), Owner: p.Self().String(), Quota: 1 << 30, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	n, err := cairnnode.New(cairnnode.Config{Network: worldNetwork, Agent: "v1", Net: p, Store: disk, Donated: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	p.Serve(n.Serve)
	return net, p
}

func v1Client(t *testing.T, net *memnet.Net, node *memnet.Peer, o *client.Owner) *client.Client {
	t.Helper()
	p := net.Peer(memnet.PeerConfig{NoListen: true})
	p.Learn(node.AddrInfo())
	c := client.New(client.Config{Network: worldNetwork, Net: p, Owner: o})
	t.Cleanup(c.Close)
	return c
}

func TestVersion1StillOpens(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(v1)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "link"))
	if err != nil {
		t.Fatal(err)
	}
	link, err := protocol.ParseLink(string(text))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(dir, "content"))
	if err != nil {
		t.Fatal(err)
	}

	o, err := client.OpenOwner(filepath.Join(dir, "owner"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	ups, err := o.Uploads()
	if err != nil || len(ups) != 1 || ups[0].Link.Pointer != link.Pointer || ups[0].Link.Read != link.Read || o.Created() {
		t.Fatalf("the owner's home lists %+v, %v", ups, err)
	}

	net, node := v1World(t, dir)
	f, err := v1Client(t, net, node, nil).Open(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := f.WriteTo(t.Context(), &got, nil); err != nil || !bytes.Equal(got.Bytes(), want) || f.Name != "v1.txt" {
		t.Fatalf("%q: %d bytes, %v", f.Name, got.Len(), err)
	}
	res, err := v1Client(t, net, node, o).Put(t.Context(), client.Source{Reader: bytes.NewReader(want), Name: "again", Size: int64(len(want))}, client.PutOptions{Wait: time.Second})
	if err != nil || res.Link.Home != link.Home {
		t.Fatalf("a put into the group of version 1: %v", err)
	}
}

// TestWriteVersion1 made what TestVersion1StillOpens opens. It is run again
// only to add to it: CAIRN_WRITE_V1=dir go test -run TestWriteVersion1
func TestWriteVersion1(t *testing.T) {
	dir := os.Getenv("CAIRN_WRITE_V1")
	if dir == "" {
		t.Skip("it writes test data; set CAIRN_WRITE_V1 to a folder to do so")
	}
	net, node := v1World(t, dir)
	o, err := client.OpenOwner(filepath.Join(dir, "owner"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	content := randomBytes(70_000)
	res, err := v1Client(t, net, node, o).Put(t.Context(), client.Source{
		Reader: bytes.NewReader(content), Name: "v1.txt", Size: int64(len(content)), MTime: time.Unix(1_700_000_000, 5),
	}, client.PutOptions{Wait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	text, err := res.Link.Text()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"link": []byte(text + "\n"), "content": content} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
