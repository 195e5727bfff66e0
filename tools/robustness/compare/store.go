package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// What a worker says to the store or asks it for, over HTTP.
const (
	opBegin   = "begin"   // the lock is held
	opRead    = "read"    // both halves
	opWrite   = "write"   // replace a half
	opSaw     = "saw"     // what was read of dlm's own files
	opRefused = "refused" // dlm has refused an append
	opEnd     = "end"     // the section has ended
)

type request struct {
	Op      string
	Lock    string
	Worker  string
	Section int
	Token   int64 // 0: none
	Half    int
	Set     []int    // that is to be written
	Saw     [2][]int // that was read of dlm's own files
	End     kind     // how the section has ended
}

type response struct {
	Section int
	Work    time.Duration
	Sets    [2][]int
}

var (
	errOver    = errors.New("the run is over")
	errRefused = errors.New("the write was refused")
)

// store is the plain store, and what is known of each lock.
type store struct {
	lanes map[string]*lane
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q request
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l := s.lanes[q.Lock]
	if l == nil {
		http.Error(w, "no such lock", http.StatusNotFound)
		return
	}
	answer, err := l.serve(q)
	switch {
	case errors.Is(err, errOver):
		w.WriteHeader(http.StatusGone)
	case errors.Is(err, errRefused):
		w.WriteHeader(http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		_ = json.NewEncoder(w).Encode(answer) // a worker that was killed does not read it
	}
}

// ask is the worker's side.
func ask(ctx context.Context, url string, q request) (answer response, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return answer, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return answer, json.NewDecoder(resp.Body).Decode(&answer)
	case http.StatusGone:
		return answer, errOver
	case http.StatusConflict:
		return answer, errRefused
	}
	return answer, fmt.Errorf("the store: %s", resp.Status)
}

// lane is one lock: its set in the store, its history, and the fault that is to come.
type lane struct {
	name string
	dir  string
	work time.Duration // the longest

	mu     sync.Mutex
	random *rand.Rand
	h      history
	token  int64 // the greatest that was shown
	begun  int   // sections
	over   bool
	news   chan struct{} // closed, and replaced, with each event

	next   *fault // waits for its section
	clean  int    // sections that were acknowledged since the last fault
	chosen int    // section to be hit; 0: none
	victim string // the worker of the chosen section, once it has read
	active map[int]bool
}

func newLane(name, dir string, seed uint64, number int, work time.Duration, own bool) *lane {
	return &lane{
		name: name, dir: dir, work: work, random: rand.New(rand.NewPCG(seed, uint64(number))), h: history{own: own},
		news: make(chan struct{}), active: map[int]bool{},
	}
}

func (l *lane) serve(q request) (response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := event{section: q.Section, half: q.Half, at: time.Now()}
	var answer response
	switch q.Op {
	case opBegin:
		if l.over {
			return answer, errOver
		}
		l.begun++
		e.kind, e.section = began, l.begun
		l.active[l.begun] = true
		answer = response{Section: l.begun, Work: l.begin()}
	case opRead:
		sets, err := l.sets()
		if err != nil {
			return answer, err
		}
		e.kind, e.seen, answer.Sets = read, sets, sets
		l.token = max(l.token, q.Token)
	case opSaw:
		e.kind, e.seen = read, q.Saw
	case opWrite:
		if e.kind = refused; q.Token != 0 && q.Token < l.token {
			break
		}
		if err := l.replace(q.Half, q.Set); err != nil {
			return answer, err
		}
		e.kind = wrote
		l.token = max(l.token, q.Token)
	case opRefused:
		e.kind = refused
	case opEnd:
		e.kind = q.End
		delete(l.active, q.Section)
		if q.End == acknowledged {
			l.clean++
		}
	default:
		return answer, fmt.Errorf("no %q", q.Op)
	}
	if e.kind == read && q.Section == l.chosen {
		l.victim = q.Worker
	}
	l.h.events = append(l.h.events, e)
	close(l.news)
	l.news = make(chan struct{})
	if e.kind == refused && q.Op == opWrite {
		return answer, errRefused
	}
	return answer, nil
}

// begin returns how long a new section works, and chooses it if a fault is due.
func (l *lane) begin() time.Duration {
	drawn := time.Duration(l.random.Int64N(int64(l.work)))
	if l.next == nil || l.chosen != 0 || l.clean < l.next.after {
		return drawn
	}
	l.chosen, l.victim = l.begun, ""
	return l.next.work
}

func (l *lane) file(half int) string {
	return filepath.Join(l.dir, fmt.Sprint(l.name, ".", string(rune('a'+half))))
}

func (l *lane) sets() (sets [2][]int, err error) {
	for half := range sets {
		text, err := os.ReadFile(l.file(half))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return sets, err
		}
		if err := json.Unmarshal(text, &sets[half]); err != nil {
			return sets, err
		}
	}
	return sets, nil
}

// replace replaces a half in one step, and has it on disk.
func (l *lane) replace(half int, set []int) error {
	text, err := json.Marshal(set)
	if err != nil {
		return err
	}
	name := l.file(half)
	f, err := os.Create(name + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	dir, err := os.Open(l.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// await waits until a condition holds, which is asked with the lane locked.
func (l *lane) await(ctx context.Context, within time.Duration, what string, holds func() bool) error {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		l.mu.Lock()
		ok, news := holds(), l.news
		l.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-news:
		case <-deadline.C:
			return fmt.Errorf("%s: not within %v: %s", l.name, within, what)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// end has the lane's workers end, once they hold the lock.
func (l *lane) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// with is a copy of a set with one more element.
func with(set []int, n int) []int { return append(slices.Clone(set), n) }
