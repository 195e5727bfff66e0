package damp

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Of each kind.
const (
	Rate  = 10 // lines a second
	Burst = 20 // lines at once
)

const (
	tellEvery = time.Second // while lines are left out
	maxKinds  = 256         // further ones, of one level, count as one
)

// Left is the message of a line that stands for others.
const Left = "more lines like this were left out"

// Damper is a core in front of another one. It is safe for concurrent use.
type Damper struct {
	core
}

// New returns a core that writes to another one. Close is to be called at the end.
func New(to zapcore.Core) *Damper {
	return &Damper{core{Core: to, d: &damper{to: to, kinds: make(map[kind]*count)}}}
}

// Close tells what was left out until now.
func (d *Damper) Close() { d.d.tell() }

// core is one that has attributes, or none, of its own.
type core struct {
	zapcore.Core
	d     *damper
	about string // what its own attributes add to a line's kind
}

func (c core) With(fields []zapcore.Field) zapcore.Core {
	return core{c.Core.With(fields), c.d, c.about + aboutOf(fields)}
}

func (c core) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c core) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	damped := entry.Level >= zapcore.InfoLevel && entry.Level <= zapcore.ErrorLevel
	if damped && !c.d.take(kind{entry.Level, entry.LoggerName, entry.Message, c.about + aboutOf(fields)}) {
		return nil
	}
	return c.Core.Write(entry, fields)
}

// aboutOf is what attributes add to a line's kind.
func aboutOf(fields []zapcore.Field) string {
	var b strings.Builder
	for _, f := range fields {
		switch f.Key {
		case "method", "code", "reason":
			if f.Type == zapcore.StringType {
				b.WriteString(" " + f.Key + "=" + f.String)
			}
		}
	}
	return b.String()
}

// kind is what lines have in common that are counted together.
type kind struct {
	level                  zapcore.Level
	logger, message, about string
}

// count is of one kind.
type count struct {
	room  float64 // lines that may be written at once
	at    time.Time
	left  int // out, since
	since time.Time
}

// refill gives a kind the room that it has by now.
func (c *count) refill(now time.Time) {
	c.room = min(Burst, c.room+now.Sub(c.at).Seconds()*Rate)
	c.at = now
}

type damper struct {
	to zapcore.Core

	mu    sync.Mutex
	kinds map[kind]*count
	timer *time.Timer // runs while something was left out and is not told; nil: nothing was
}

// take reports whether a line may be written, and counts it otherwise.
func (d *damper) take(k kind) bool {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.of(k, now)
	c.refill(now)
	if c.room >= 1 {
		c.room--
		return true
	}
	if c.left == 0 {
		c.since = now
	}
	c.left++
	if d.timer == nil {
		d.timer = time.AfterFunc(tellEvery, d.tell)
	}
	return false
}

// of is the count of a kind. If there are too many, those that have all their room again are
// forgotten, since a new count would say the same. mu is held.
func (d *damper) of(k kind, now time.Time) *count {
	if c := d.kinds[k]; c != nil {
		return c
	}
	if len(d.kinds) >= maxKinds {
		for k, c := range d.kinds {
			if c.refill(now); c.left == 0 && c.room >= Burst {
				delete(d.kinds, k)
			}
		}
	}
	if len(d.kinds) >= maxKinds {
		k = kind{level: k.level}
		if c := d.kinds[k]; c != nil {
			return c
		}
	}
	c := &count{room: Burst, at: now}
	d.kinds[k] = c
	return c
}

// tell writes what was left out.
func (d *damper) tell() {
	now := time.Now()
	type line struct {
		kind
		count
	}
	var lines []line
	d.mu.Lock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	for k, c := range d.kinds {
		if c.left > 0 {
			lines = append(lines, line{k, *c})
			c.left = 0
		}
	}
	d.mu.Unlock()
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.message, b.message), cmp.Compare(a.about, b.about))
	})
	for _, l := range lines {
		entry := zapcore.Entry{Level: l.level, Time: now, LoggerName: l.logger, Message: Left}
		_ = d.to.Write(entry, []zapcore.Field{
			zap.String("like", cmp.Or(l.message+l.about, "lines of many kinds")), zap.Int("lines", l.left), zap.Duration("within", now.Sub(l.since)),
		})
	}
}
