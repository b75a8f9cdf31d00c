package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/node"
)

func (c check) is(t *testing.T, what, verdict, says string) {
	t.Helper()
	if c.Verdict != verdict || !strings.Contains(c.Text, says) {
		t.Errorf("%s: %+v, want %s and %q", what, c, verdict, says)
	}
	if (c.Mend == "") != (c.Verdict == verdictOK) {
		t.Errorf("%s: %s has the mend %q", what, c.Verdict, c.Mend)
	}
}

func TestDoctorJudgesStores(t *testing.T) {
	const gb = 1e9
	for what, c := range map[string]struct {
		s             node.StoreStatus
		verdict, says string
	}{
		"room":          {node.StoreStatus{Quota: 100 * gb, Used: 10 * gb, Free: 88 * gb, State: "ok"}, verdictOK, "88 GB free"},
		"all given":     {node.StoreStatus{Quota: 100 * gb, Used: 98 * gb, State: "ok"}, verdictOK, "all that was given"},
		"full disk":     {node.StoreStatus{Quota: 100 * gb, Used: 10 * gb, State: "ok"}, verdictBad, "disk is full"},
		"too small":     {node.StoreStatus{Quota: 100 * gb, Used: 10 * gb, Free: 20 * gb, State: "ok"}, verdictWarn, "room for 20 GB"},
		"missing":       {node.StoreStatus{Quota: 100 * gb, State: "suspended", Dir: "/mnt/b"}, verdictBad, "/mnt/b: its disk is missing"},
		"failed":        {node.StoreStatus{Quota: 100 * gb, State: "failed", Why: "input/output error"}, verdictBad, "input/output error"},
		"of the future": {node.StoreStatus{Quota: 100 * gb, State: "melted", Why: "heat"}, verdictBad, "heat"},
	} {
		judgeStore(c.s).is(t, what, c.verdict, c.says)
	}
}

func TestDoctorJudgesReach(t *testing.T) {
	home, internet, nobody := sight{others: 3, private: true}, sight{others: 3}, sight{}
	for what, c := range map[string]struct {
		r             node.Reach
		relays        int
		see           sight
		verdict, says string
	}{
		"public":                {node.ReachPublic, 0, internet, verdictOK, "others can dial"},
		"port closed":           {node.ReachPrivate, 0, internet, verdictBad, "cannot dial"},
		"relayed":               {node.ReachPrivate, 2, internet, verdictWarn, "2 relays"},
		"private among private": {node.ReachPrivate, 0, home, verdictOK, "its own network"},
		"unknown among private": {node.ReachUnknown, 0, home, verdictOK, "its own network"},
		"unknown":               {node.ReachUnknown, 0, internet, verdictWarn, "not known yet"},
		"alone":                 {node.ReachUnknown, 0, nobody, verdictWarn, "not known yet"},
	} {
		st := nodeStatus{Reachable: c.r, Why: "because", Relays: make([]string, c.relays)}
		got := judgeReach(st, "4401", c.see)
		got.is(t, what, c.verdict, c.says)
		if c.verdict == verdictBad && !strings.Contains(got.Mend, "port 4401, TCP and UDP") {
			t.Errorf("%s: mend %q", what, got.Mend)
		}
	}
}

func TestDoctorJudgesClock(t *testing.T) {
	if _, ok := checkClock(nil); ok {
		t.Error("a clock was judged by nobody's")
	}
	s := func(list ...int) (out []time.Duration) {
		for _, n := range list {
			out = append(out, time.Duration(n)*time.Second)
		}
		return out
	}
	for what, c := range map[string]struct {
		offsets       []time.Duration
		verdict, says string
	}{
		"right":                {s(0, 1, -1), verdictOK, "within 1s"},
		"one liar of three":    {s(0, 1, 1e6), verdictOK, "within 2s"},
		"three minutes behind": {s(180, 181, 179, 180), verdictWarn, "3m0s behind the clocks of 4 nodes"},
		"ahead":                {s(-7200, -7201, -7202), verdictBad, "2h0m0s ahead of"},
		"far, by one only":     {s(1e6), verdictWarn, "the clock of 1 node"},
	} {
		got, ok := checkClock(c.offsets)
		if !ok {
			t.Errorf("%s: no judgement", what)
			continue
		}
		got.is(t, what, c.verdict, c.says)
	}
}

func TestDoctorJudgesDescriptors(t *testing.T) {
	for what, c := range map[string]struct {
		situation string
		limit     uint64
		known     bool
		verdict   string
	}{
		"client":          {situationClient, 1024, true, verdictOK},
		"client, few":     {situationClient, 256, true, verdictWarn},
		"node":            {situationRunning, 65536, true, verdictOK},
		"node, unlimited": {situationRunning, 1 << 62, true, verdictOK},
		"node, few":       {situationRunning, 4096, true, verdictWarn},
		"node, too few":   {situationStopped, 256, true, verdictBad},
		"no limit at all": {situationStopped, 0, false, verdictOK},
	} {
		judgeDescriptors(c.situation, c.limit, c.known).is(t, what, c.verdict, "")
	}
}

func TestDoctorJudgesNetwork(t *testing.T) {
	for what, c := range map[string]struct {
		situation     string
		s             sight
		verdict, says string
	}{
		"nodes":        {situationClient, sight{others: 3, nodes: 3}, verdictOK, "by 3 nodes"},
		"others":       {situationClient, sight{others: 3, nodes: 1}, verdictOK, "by 1 node and 2 other peers"},
		"silence":      {situationClient, sight{given: 1, remembered: 4}, verdictBad, "given (1) and remembered (4)"},
		"nobody known": {situationClient, sight{}, verdictBad, "no peer is known"},
		"alone":        {situationRunning, sight{}, verdictWarn, "network of one"},
		"cannot look":  {situationClient, sight{err: errors.New("odd address")}, verdictBad, "odd address"},
		"node cut off": {situationStopped, sight{remembered: 2}, verdictBad, "nobody answers"},
	} {
		checkNetwork(c.situation, "friends", c.s).is(t, what, c.verdict, c.says)
	}
}

func TestDoctorJudgesOwner(t *testing.T) {
	if c, ok := judgeOwner(nil, fmt.Errorf("open owner: %w", fs.ErrNotExist)); ok {
		t.Errorf("nothing was put, and yet: %+v", c)
	}
	for what, c := range map[string]struct {
		l             *client.Listing
		err           error
		verdict, says string
	}{
		"all there":      {&client.Listing{Uploads: make([]client.Upload, 2)}, nil, verdictOK, "2 uploads"},
		"in use":         {nil, fmt.Errorf("open owner: %w", client.ErrInUse), verdictOK, "another process"},
		"no journal":     {nil, fmt.Errorf("journal: %w", client.ErrNoJournal), verdictBad, "gone or empty"},
		"damaged":        {nil, errors.New("journal: damaged"), verdictBad, "damaged"},
		"another secret": {&client.Listing{Unfit: errors.New("not the one")}, nil, verdictBad, "not the one"},
	} {
		got, ok := judgeOwner(c.l, c.err)
		if !ok {
			t.Errorf("%s: no judgement", what)
		}
		got.is(t, what, c.verdict, c.says)
	}
}
