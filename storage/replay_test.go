package storage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// TestReplayOrder writes records of one shard into a log by hand and opens it:
// the last one that no kill names counts, wherever the kill stands.
func TestReplayOrder(t *testing.T) {
	for _, c := range []struct {
		log  string // puts in order, kN kills the N-th
		want int    // which one is held; 0: none
	}{
		{"p", 1},
		{"p k1", 0},
		{"p p", 2},
		{"p p k1", 2},
		{"p p k2", 1},
		{"p p k1 k2", 0},
		{"p p k2 k1", 0},
		{"p k1 p", 2},
		{"p k1 p k2", 0},
		{"p p p k2 k3", 1},
		{"p p p k3 k1", 2},
		{"p p k2 p", 3},
	} {
		t.Run(c.log, func(t *testing.T) {
			cfg := Config{Dir: t.TempDir(), Owner: "test", Reserve: -1}.withDefaults()
			bodies := handWritten(t, cfg, strings.Fields(c.log))
			for round := range 2 { // the second time with the kills that were owed
				if err := os.Remove(cfg.Index); err != nil && round > 0 {
					t.Fatal(err)
				}
				d, err := Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				check(t, d, c.want, bodies)
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// handWritten makes a store whose log holds the records, and returns the data
// of each put.
func handWritten(t *testing.T, cfg Config, words []string) (bodies [][]byte) {
	t.Helper()
	d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	key, end := d.key, d.active.end
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	var places []place
	var log []byte
	for _, w := range words {
		at := place{1, end + int64(len(log))}
		if victim, isKill := strings.CutPrefix(w, "k"); isKill {
			h := header{kind: shardRecord, group: protocol.GroupID{1}, id: [32]byte{2}}
			k := h.kill(places[victim[0]-'1'], time.Unix(1, 0))
			log = k.appendTo(log, &key, at)
			continue
		}
		body := bytes.Repeat([]byte{byte(len(bodies) + 1)}, 8)
		s := Shard{Key: ShardKey{Segment: protocol.SegmentID{2}}, Group: protocol.GroupID{1}, Descriptor: body, Data: body}
		h := shardHeader(&s, time.Unix(1, 0))
		log = append(append(h.appendTo(log, &key, at), body...), body...)
		places, bodies = append(places, at), append(bodies, body)
	}
	f, err := os.OpenFile(filepath.Join(cfg.Dir, logsName, "0000000001.log"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(log); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return bodies
}

// check checks which put is held, and that the books agree.
func check(t *testing.T, d *Disk, want int, bodies [][]byte) {
	t.Helper()
	r, err := d.OpenShard(context.Background(), ShardKey{Segment: protocol.SegmentID{2}})
	u := d.Usage()
	if want == 0 {
		if !errors.Is(err, ErrNotFound) || u.Shards != 0 || u.Groups != 0 {
			t.Errorf("%v, usage %+v; want none", err, u)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.Descriptor(), bodies[want-1]) || u.Shards != 1 || u.Groups != 1 {
		t.Errorf("put %d is held, usage %+v; want put %d", r.Descriptor()[0], u, want)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
