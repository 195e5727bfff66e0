package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

const (
	maxAsked    = 200     // names of one request
	shownEvents = 100     // of one lock
	maxBody     = 1 << 14 // bytes of a request's
	callSoon    = 10 * time.Second
)

// locks answers with the rows of some locks as they are now: what the page asks for again and again
// of the rows that somebody looks at.
func (p *Page) locks(w http.ResponseWriter, r *http.Request, caller Caller) {
	names := r.URL.Query()["name"]
	if len(names) > maxAsked {
		p.refuse(w, http.StatusBadRequest, fmt.Sprintf("at most %d names at once", maxAsked))
		return
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return etcdstore.CheckLock(name) != nil || !caller.May(auth.Inspect, name)
	})
	ctx, cancel := context.WithTimeout(r.Context(), callSoon)
	defer cancel()
	infos, revision, err := p.cfg.Store.Describe(ctx, names)
	if err != nil {
		p.fail(w, err)
		return
	}
	answer := struct {
		Now      int64     `json:"now"`
		Revision int64     `json:"revision,string"`
		Rows     []rowForm `json:"rows"`
	}{Now: time.Now().UnixMilli(), Revision: revision, Rows: []rowForm{}}
	for _, info := range infos {
		if used(info) {
			answer.Rows = append(answer.Rows, rowOf(info, revision))
		}
	}
	p.answer(w, http.StatusOK, answer)
}

// lock answers with what there is to say of one lock.
func (p *Page) lock(w http.ResponseWriter, r *http.Request, caller Caller) {
	name := r.URL.Query().Get("name")
	if err := permitted(caller, auth.Inspect, name); err != nil {
		p.fail(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callSoon)
	defer cancel()
	info, err := p.cfg.Store.Inspect(ctx, name)
	if errors.Is(err, etcdstore.ErrLockNotFound) {
		info, err = etcdstore.LockInfo{Name: name}, nil // one that nobody has used is as free as any other
	}
	if err != nil {
		p.fail(w, err)
		return
	}
	form := lockForm{
		rowForm: rowOf(info, 0), Now: time.Now().UnixMilli(), Queue: []whoForm{}, Events: []eventForm{}, LastUndone: text.Escape(info.LastUndone),
		MayEvict: caller.May(auth.Evict, name), MayRead: caller.May(auth.Read, name),
	}
	for _, waiter := range info.Waiters {
		form.Queue = append(form.Queue, waiterOf(waiter))
	}
	events, since, err := p.cfg.Store.LastEvents(ctx, name, shownEvents)
	if err != nil {
		p.fail(w, err)
		return
	}
	form.EventsSince = millis(since)
	for _, e := range events {
		form.Events = append(form.Events, eventForm{
			Type: typeOf(e.Type), Session: e.Session, Label: text.Escape(e.Label), Identity: text.Escape(e.Owner), Token: e.Token, Revision: e.Revision,
			Reason: text.Escape(e.Reason), At: millis(e.Told),
		})
	}
	p.answer(w, http.StatusOK, form)
}

// files answers with a page of a lock's files.
func (p *Page) files(w http.ResponseWriter, r *http.Request, caller Caller) {
	name := r.URL.Query().Get("name")
	if err := permitted(caller, auth.Read, name); err != nil {
		p.fail(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callSoon)
	defer cancel()
	files, next, err := p.cfg.Store.ListFiles(ctx, name, 0, r.URL.Query().Get("after"))
	if err != nil {
		p.fail(w, err)
		return
	}
	answer := struct {
		Files []fileForm `json:"files"`
		Next  string     `json:"next"`
	}{[]fileForm{}, next}
	for _, f := range files {
		if f.Lock == name {
			answer.Files = append(answer.Files, fileForm{Name: f.Name, Size: f.Size, Token: f.Token})
		}
	}
	p.answer(w, http.StatusOK, answer)
}

// evict takes a lock from the holder of a token, and from nobody else.
func (p *Page) evict(w http.ResponseWriter, r *http.Request, _ Caller) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		p.refuse(w, http.StatusUnsupportedMediaType, "want application/json")
		return
	}
	var asked struct {
		Lock   string `json:"lock"`
		Token  string `json:"token"`
		Reason string `json:"reason"`
	}
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	body.DisallowUnknownFields()
	err := body.Decode(&asked)
	if err == nil && body.Decode(new(any)) != io.EOF {
		err = errors.New("there is more than one value")
	}
	if err != nil {
		p.refuse(w, http.StatusBadRequest, "the request cannot be read: "+err.Error())
		return
	}
	token, err := strconv.ParseInt(asked.Token, 10, 64)
	if err != nil || token <= 0 { // 0 would be whoever holds the lock now
		p.refuse(w, http.StatusBadRequest, "say by its token whom to evict")
		return
	}
	if strings.TrimSpace(asked.Reason) == "" {
		p.refuse(w, http.StatusBadRequest, "an eviction needs a reason")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callSoon)
	defer cancel()
	holder, err := p.cfg.Evict(r.WithContext(ctx), asked.Lock, token, asked.Reason)
	switch {
	case err != nil:
		p.fail(w, err)
	case holder == nil:
		p.refuse(w, http.StatusConflict, fmt.Sprintf("token %d does not hold the lock any more; nobody was evicted", token))
	default:
		p.answer(w, http.StatusOK, map[string]*holderForm{"evicted": holderOf(holder)})
	}
}

// permitted is why a caller may not ask about a lock; nil: it may.
func permitted(caller Caller, verb auth.Verb, lock string) error {
	if err := etcdstore.CheckLock(lock); err != nil {
		return err
	}
	if !caller.May(verb, lock) {
		return fmt.Errorf("%w: %s may not %s %s", auth.ErrPermissionDenied, caller.Name(), verb, lock)
	}
	return nil
}
