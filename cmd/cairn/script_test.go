package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cairnstore/cairn/protocol"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"cairn": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the sessions in testdata/script: what people see, with exit
// statuses. Sessions that need more than one node are in package integration.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("CAIRN_HOME", e.WorkDir+"/home")
			e.Setenv("CAIRN_NO_MDNS", "true")
			e.Setenv("GOTRACEBACK", "single") // so that the log shows why a session failed
			return placeTexts(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status, "await": await, "capture": capture},
	})
}

// placeTexts gives the sessions a good link, one of a later version and an
// invitation whose only peer never answers.
func placeTexts(e *testscript.Env) error {
	good, err := protocol.Link{}.Text()
	if err != nil {
		return err
	}
	later := append([]byte{99}, make([]byte, 64)...)
	sum := protocol.Sum(later)
	text := protocol.LinkPrefix + base64.RawURLEncoding.EncodeToString(append(later, sum[:4]...))
	id, err := peer.IDFromPrivateKey(silentKey())
	if err != nil {
		return err
	}
	addr, err := multiaddr.NewMultiaddr("/ip4/127.0.0.1/tcp/1/p2p/" + id.String())
	if err != nil {
		return err
	}
	inv := protocol.Invitation{Network: "friends", Addrs: [][]byte{addr.Bytes()}}
	join, err := inv.Text()
	e.Setenv("INVITATION", join)
	return errors.Join(err,
		os.WriteFile(filepath.Join(e.WorkDir, "good.link"), []byte(good+"\n"), 0o600),
		os.WriteFile(filepath.Join(e.WorkDir, "later.link"), []byte(text+"\n"), 0o600))
}

func silentKey() crypto.PrivKey {
	key, _, err := crypto.GenerateEd25519Key(bytes.NewReader(make([]byte, 64)))
	if err != nil {
		panic(err)
	}
	return key
}

// await runs a program until it succeeds: await PROGRAM ARG…
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: await PROGRAM ARG…")
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%v", err)
		}
	}
}

// capture sets a variable to what a pattern's group matches in a file, or in
// stdout: capture NAME FILE PATTERN.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture NAME FILE PATTERN")
	}
	m := regexp.MustCompile(args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if len(m) != 2 {
		ts.Fatalf("no match for %q", args[2])
	}
	ts.Setenv(args[0], m[1])
}

// status runs a program and checks its exit status: status N PROGRAM ARG…
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARG…")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = strconv.Itoa(exit.ExitCode())
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, not %s", got, args[0])
	}
}
