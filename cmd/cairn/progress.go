package main

import (
	"fmt"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/cairnstore/cairn/client"
)

// How often progress is told: to a program or a log, and to a terminal.
const (
	lineEvery = 2 * time.Second
	barEvery  = 150 * time.Millisecond
)

// meter shows how far a transfer is. Its functions are called from one
// goroutine; close ends the display.
type meter struct {
	put   func(client.PutProgress)
	get   func(done, total int64)
	close func()
}

// putEvent is a progress line of put --json.
type putEvent struct {
	Event     string `json:"event"` // "progress"
	Phase     string `json:"phase"` // send, publish or fill
	Read      int64  `json:"read"`
	Total     int64  `json:"total"` // -1: unknown
	Sent      int64  `json:"sent"`
	SentTotal int64  `json:"sentTotal"` // -1: unknown
	Segments  int    `json:"segments"`
	Safe      int    `json:"safe"`
	K         int    `json:"k"`
	R         int    `json:"r"`
	N         int    `json:"n"`
}

// getEvent is a progress line of get --json.
type getEvent struct {
	Event string `json:"event"` // "progress"
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

func (a *app) putMeter(name string, total int64) *meter {
	switch {
	case a.flags.quiet:
		return &meter{put: func(client.PutProgress) {}, close: func() {}}
	case a.flags.json:
		due := every(lineEvery)
		return &meter{put: func(p client.PutProgress) {
			if due() {
				a.event(putEvent{"progress", p.Phase, p.Read, p.Total, p.Sent, p.SentTotal, p.Segments, p.Safe, p.Profile.K, p.Profile.R, p.Profile.N})
			}
		}, close: func() {}}
	case a.terminal:
		return a.putBar(name, total)
	}
	due := every(lineEvery)
	return &meter{put: func(p client.PutProgress) {
		if due() {
			a.say("put %q: %s", name, putText(p))
		}
	}, close: func() {}}
}

func (a *app) getMeter(name string, total int64) *meter {
	switch {
	case a.flags.quiet:
		return &meter{get: func(int64, int64) {}, close: func() {}}
	case a.flags.json:
		due := every(lineEvery)
		return &meter{get: func(done, total int64) {
			if due() {
				a.event(getEvent{"progress", done, total})
			}
		}, close: func() {}}
	case a.terminal:
		b := a.newBar("get "+shorten(oneLine(name)), func() string { return "" })
		return &meter{get: b.set, close: b.close}
	}
	due := every(lineEvery)
	return &meter{get: func(done, total int64) {
		if due() {
			a.say("get %q: %s", name, share(done, total))
		}
	}, close: func() {}}
}

// every returns a function that returns true at most once in each span, and not
// before the first has passed, so that short work shows no progress.
func every(span time.Duration) func() bool {
	next := time.Now().Add(span)
	return func() bool {
		now := time.Now()
		if now.Before(next) {
			return false
		}
		next = now.Add(span)
		return true
	}
}

// putText says how many bytes are really sent, and what is already safe.
func putText(p client.PutProgress) string {
	switch p.Phase {
	case client.PhasePublish:
		return "content is safe, publishing the link"
	case client.PhaseFill:
		return fmt.Sprintf("safe; bringing the last shards to their holders, %d of %d everywhere", p.Stored, p.Profile.N)
	}
	sent := bytesText(p.Sent)
	if p.SentTotal >= 0 {
		sent += " of " + bytesText(p.SentTotal)
	}
	return fmt.Sprintf("read %s, sent %s as profile %s, %d of %d segments safe", share(p.Read, p.Total), sent, p.Profile, p.Safe, p.Segments)
}

func share(done, total int64) string {
	if total <= 0 {
		return bytesText(done)
	}
	return fmt.Sprintf("%s of %s (%d %%)", bytesText(done), bytesText(total), done*100/total)
}

func shorten(name string) string {
	const most = 24
	r := []rune(name)
	if len(r) <= most {
		return name
	}
	return string(r[:most-1]) + "…"
}

// bar is one progress bar on a terminal.
type bar struct {
	all  *mpb.Progress
	bar  *mpb.Bar
	last int64
	at   time.Time
}

func (a *app) newBar(label string, tail func() string) *bar {
	all := mpb.New(mpb.WithOutput(a.errs), mpb.WithWidth(40), mpb.WithRefreshRate(barEvery))
	b := &bar{all: all, at: time.Now()}
	b.bar = all.AddBar(0,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(label+" "), decor.CountersKiloByte("% .1f of % .1f")),
		mpb.AppendDecorators(
			decor.EwmaSpeed(decor.SizeB1000(0), "% .1f", 30), decor.Name(" "), decor.EwmaETA(decor.ET_STYLE_GO, 30),
			decor.Any(func(decor.Statistics) string { return tail() }),
		),
	)
	return b
}

func (b *bar) set(done, total int64) {
	now := time.Now()
	if total > 0 {
		b.bar.SetTotal(total, false)
	}
	b.bar.EwmaIncrInt64(done-b.last, now.Sub(b.at))
	b.last, b.at = done, now
}

func (b *bar) close() {
	b.bar.Abort(true)
	b.all.Wait()
}

func (a *app) putBar(name string, total int64) *meter {
	last := make(chan client.PutProgress, 1) // what the drawing goroutine reads
	last <- client.PutProgress{Total: total}
	b := a.newBar("put "+shorten(oneLine(name)), func() string {
		p := <-last
		last <- p
		if p.Phase == client.PhaseSend {
			return fmt.Sprintf(" · %d of %d safe · profile %s", p.Safe, p.Segments, p.Profile)
		}
		return fmt.Sprintf(" · safe, %d of %d shards everywhere", p.Stored, p.Profile.N)
	})
	return &meter{put: func(p client.PutProgress) {
		<-last
		last <- p
		b.set(p.Sent, p.SentTotal)
	}, close: b.close}
}
