package page

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

// The forms in which the page is told things. Tokens and revisions are texts, for a browser's
// numbers have 53 bits; times are milliseconds since 1970, 0 if not known.
type (
	rowForm struct {
		Name     string      `json:"name"`
		Revision int64       `json:"revision,string"` // as of which the row is
		Holder   *holderForm `json:"holder,omitempty"`
		Waiting  int         `json:"waiting"`
		Oldest   int64       `json:"oldest"` // since when the first in line waits
		Staged   int64       `json:"staged"`
	}

	whoForm struct {
		Session  string `json:"session"`
		Request  string `json:"request"`
		Label    string `json:"label"`
		Identity string `json:"identity"`
		Since    int64  `json:"since"`
	}

	holderForm struct {
		whoForm
		Token int64 `json:"token,string"`
		Lease int64 `json:"lease"` // when its session ends if nothing is heard of it any more
		Heard int64 `json:"heard"` // when its session was heard of last
	}

	lockForm struct {
		rowForm
		Now         int64       `json:"now"`
		Queue       []whoForm   `json:"queue"` // the first in line
		LastUndone  string      `json:"lastUndone"`
		Events      []eventForm `json:"events"`      // the latest first
		EventsSince int64       `json:"eventsSince"` // from when on none is missing
		MayEvict    bool        `json:"mayEvict"`
		MayRead     bool        `json:"mayRead"`
	}

	eventForm struct {
		Type     string `json:"type"`
		Session  string `json:"session"`
		Label    string `json:"label"`
		Identity string `json:"identity"`
		Token    int64  `json:"token,string"` // 0: a waiter
		Revision int64  `json:"revision,string"`
		Reason   string `json:"reason"`
		At       int64  `json:"at"` // when this server was told
	}

	fileForm struct {
		Name  string `json:"name"`
		Size  int64  `json:"size"` // in bytes
		Token int64  `json:"token,string"`
	}
)

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// rowOf is what the overview tells of a lock, as of a revision.
func rowOf(info etcdstore.LockInfo, revision int64) rowForm {
	r := rowForm{Name: info.Name, Revision: revision, Holder: holderOf(info.Holder), Waiting: info.QueueLength, Staged: info.Staged}
	if len(info.Waiters) > 0 {
		r.Oldest = millis(info.Waiters[0].Since)
	}
	return r
}

func holderOf(h *etcdstore.Holder) *holderForm {
	if h == nil {
		return nil
	}
	now := time.Now()
	form := &holderForm{
		whoForm: whoForm{
			Session: h.Session, Request: h.Request, Label: text.Escape(h.Label), Identity: text.Escape(h.Owner), Since: millis(h.Since),
		},
		Token: h.Token,
	}
	if h.LeaseLeft >= 0 {
		form.Lease = millis(now.Add(h.LeaseLeft))
	}
	if h.HeartbeatAge >= 0 {
		form.Heard = millis(now.Add(-h.HeartbeatAge))
	}
	return form
}

func waiterOf(w etcdstore.Waiter) whoForm {
	return whoForm{Session: w.Session, Request: w.Request, Label: text.Escape(w.Label), Identity: text.Escape(w.Owner), Since: millis(w.Since)}
}

// used reports whether a lock has a row: somebody holds it or waits for it.
func used(info etcdstore.LockInfo) bool { return info.Holder != nil || info.QueueLength > 0 }

// encoded is a form as JSON. Forms have nothing in them that cannot be encoded.
func encoded(form any) []byte {
	b, err := json.Marshal(form)
	if err != nil {
		return []byte(strconv.Quote(err.Error()))
	}
	return b
}

func typeOf(t etcdstore.EventType) string {
	switch t {
	case etcdstore.EventWaiting:
		return "waiting"
	case etcdstore.EventGranted:
		return "granted"
	case etcdstore.EventCommitted:
		return "committed"
	case etcdstore.EventReleased:
		return "released"
	case etcdstore.EventLost:
		return "lost"
	case etcdstore.EventLeft:
		return "left"
	}
	return ""
}
