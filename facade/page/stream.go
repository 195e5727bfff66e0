package page

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/facade/auth"
)

const (
	maxStreams = 64    // at once
	maxOwn     = 16    // of one identity
	maxRows    = 20000 // that one stream is told of
	maxNames   = 5000  // changed ones that a stream remembers; of more, all count as changed
	chunk      = 500   // rows of one message

	beatEvery   = 2 * time.Second
	reviewEvery = time.Second      // of who reads, and what that may see
	writeSoon   = 10 * time.Second // or the reader is given up
)

// stream is one open page.
type stream struct {
	ready chan struct{} // of size 1: there is something to tell

	mu    sync.Mutex
	names map[string]struct{} // of rows that have changed
	every bool                // any may have

	caller Caller
	sent   map[string]struct{} // names that the reader has
	left   int                 // rows that it does not have, since there are too many
}

func newStream(caller Caller) *stream {
	s := &stream{ready: make(chan struct{}, 1), names: map[string]struct{}{}, every: true, caller: caller, sent: map[string]struct{}{}}
	signal(s.ready) // for the state as it is
	return s
}

// changed notes that rows have changed. It does not wait.
func (s *stream) changed(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if s.every {
			break
		}
		if s.names[name] = struct{}{}; len(s.names) > maxNames {
			s.every = true
		}
	}
	if s.every {
		clear(s.names)
	}
	signal(s.ready)
}

// take is what has changed since the last time.
func (s *stream) take() (names []string, every bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, every = slices.Collect(maps.Keys(s.names)), s.every
	clear(s.names)
	s.every = false
	return names, every
}

// sees reports whether the reader may see a lock.
func (s *stream) sees(lock string) bool { return s.caller.May(auth.Inspect, lock) }

// stream answers with what happens, until the reader goes, does not read, or may not any more.
func (p *Page) stream(w http.ResponseWriter, r *http.Request, caller Caller) {
	done, ok := p.enter(caller.Name())
	if !ok {
		w.Header().Set("Retry-After", "10")
		p.refuse(w, http.StatusServiceUnavailable, "too many pages are open on this server")
		return
	}
	defer done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // which a proxy between would otherwise do
	out := &writer{to: w, control: http.NewResponseController(w), within: writeSoon}
	s := newStream(caller)
	p.hub.join(p.ctx, s)
	defer p.hub.leave(s)
	review, beat := time.NewTicker(reviewEvery), time.NewTicker(beatEvery)
	defer review.Stop()
	defer beat.Stop()
	if p.tellBeat(out) != nil {
		return
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.ready:
			if err = p.tellChanges(s, out); err == nil {
				sleep(ctx, pace)
			}
		case <-beat.C:
			err = p.tellBeat(out)
		case <-review.C:
			if err = p.review(s, r); err != nil {
				_ = out.event("end", encoded(map[string]string{"why": "this server does not take you for who you were any more"}))
			}
		}
		if err != nil {
			return
		}
	}
}

// enter counts a stream of an identity; false: there are too many.
func (p *Page) enter(name string) (done func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.open >= maxStreams || name != "" && p.own[name] >= maxOwn {
		return nil, false
	}
	p.open++
	p.own[name]++
	p.streams.Add(1)
	return func() {
		p.mu.Lock()
		p.open--
		if p.own[name]--; p.own[name] == 0 {
			delete(p.own, name)
		}
		p.mu.Unlock()
		p.streams.Done()
	}, true
}

// review asks anew who reads, and has everything compared if that may see something else now.
func (p *Page) review(s *stream, r *http.Request) error {
	now, err := p.cfg.Identify(r)
	if err != nil || same(s.caller, now) {
		return err
	}
	s.caller = now
	var names []string
	for _, row := range p.hub.all() {
		if _, has := s.sent[row.name]; has != s.sees(row.name) {
			names = append(names, row.name)
		}
	}
	for name := range s.sent {
		if !s.sees(name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		s.changed(names)
	}
	return nil
}

// same reports whether two callers are known to be the same, with the same rights.
func same(a, b Caller) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// tellBeat tells what time it is here, by which the page works out ages, and that the stream lives.
func (p *Page) tellBeat(out *writer) error {
	return out.event("beat", fmt.Appendf(nil, `{"now":%d}`, time.Now().UnixMilli()))
}

// tellChanges tells what has changed: rows, and up to where they are told.
func (p *Page) tellChanges(s *stream, out *writer) error {
	revision, down := p.hub.now() // before the rows, which may have more, and never less
	names, every := s.take()
	if every {
		return p.tellAll(s, out, revision, down)
	}
	var rows [][]byte
	var gone []string
	for i, row := range p.hub.some(names) {
		_, has := s.sent[names[i]]
		switch {
		case row == nil || !s.sees(row.name):
			if has {
				delete(s.sent, names[i])
				gone = append(gone, names[i])
			}
		case has:
			rows = append(rows, row.form)
		case len(s.sent) < maxRows:
			s.sent[row.name] = struct{}{}
			rows = append(rows, row.form)
		default:
			s.left++ // not exact: it is made so with the next state
		}
	}
	for {
		some := rows[:min(chunk, len(rows))]
		rows = rows[len(some):]
		if err := out.rows("change", "", some, gone, s.left, revision, down); err != nil || len(rows) == 0 {
			return err
		}
		gone = nil
	}
}

// tellAll tells all rows, in the place of those that the reader has.
func (p *Page) tellAll(s *stream, out *writer, revision int64, down string) error {
	var rows [][]byte
	s.left = 0
	clear(s.sent)
	for _, row := range p.hub.all() {
		switch {
		case !s.sees(row.name):
		case len(rows) < maxRows:
			s.sent[row.name] = struct{}{}
			rows = append(rows, row.form)
		default:
			s.left++
		}
	}
	for first := true; ; first = false {
		some := rows[:min(chunk, len(rows))]
		rows = rows[len(some):]
		part := ""
		if first {
			part += `"first":true,`
		}
		if len(rows) == 0 {
			part += `"last":true,`
		}
		if err := out.rows("state", part, some, nil, s.left, revision, down); err != nil || len(rows) == 0 {
			return err
		}
	}
}

// writer writes events, each within a bound.
type writer struct {
	to      http.ResponseWriter
	control *http.ResponseController
	within  time.Duration // for one event
	buffer  bytes.Buffer
}

// event sends an event. data is one line.
func (w *writer) event(name string, data []byte) error {
	w.buffer.Reset()
	fmt.Fprintf(&w.buffer, "event: %s\ndata: %s\n\n", name, data)
	return w.send()
}

// rows sends rows, which are encoded already, with names of locks that have none any more.
func (w *writer) rows(name, part string, rows [][]byte, gone []string, left int, revision int64, down string) error {
	w.buffer.Reset()
	fmt.Fprintf(&w.buffer, "event: %s\ndata: {%s\"revision\":%q,\"left\":%d,\"down\":%s", name, part, strconv.FormatInt(revision, 10), left, encoded(down))
	if len(gone) > 0 {
		fmt.Fprintf(&w.buffer, ",\"gone\":%s", encoded(gone))
	}
	w.buffer.WriteString(",\"rows\":[")
	for i, row := range rows {
		if i > 0 {
			w.buffer.WriteByte(',')
		}
		w.buffer.Write(row)
	}
	w.buffer.WriteString("]}\n\n")
	return w.send()
}

func (w *writer) send() error {
	if err := w.control.SetWriteDeadline(time.Now().Add(w.within)); err != nil {
		return err
	}
	if _, err := w.to.Write(w.buffer.Bytes()); err != nil {
		return err
	}
	return w.control.Flush()
}
