package page

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

// statusOf is the status by which an error is answered; false: its text is for the log only.
func statusOf(err error) (status int, known bool) {
	for _, row := range [...]struct {
		err    error
		status int
	}{
		{auth.ErrUnauthenticated, http.StatusUnauthorized},
		{auth.ErrPermissionDenied, http.StatusForbidden},
		{etcdstore.ErrInvalidName, http.StatusBadRequest},
		{etcdstore.ErrInvalidArgument, http.StatusBadRequest},
		{etcdstore.ErrTooLarge, http.StatusRequestEntityTooLarge},
		{etcdstore.ErrLockNotFound, http.StatusNotFound},
		{etcdstore.ErrLimit, http.StatusTooManyRequests},
		{etcdstore.ErrNoSpace, http.StatusInsufficientStorage},
		{etcdstore.ErrNoQuorum, http.StatusServiceUnavailable},
		{etcdstore.ErrClosed, http.StatusServiceUnavailable},
		{context.DeadlineExceeded, http.StatusServiceUnavailable},
		{context.Canceled, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, row.err) {
			return row.status, true
		}
	}
	return http.StatusInternalServerError, false
}

// fail answers with an error.
func (p *Page) fail(w http.ResponseWriter, err error) {
	status, known := statusOf(err)
	if !known {
		p.cfg.Logger.Error("a request of the page has failed", "err", err)
		p.refuse(w, status, "internal error, see the server's log")
		return
	}
	p.refuse(w, status, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// refuse answers with a status, and why.
func (p *Page) refuse(w http.ResponseWriter, status int, why string) {
	p.answer(w, status, map[string]string{"error": text.Escape(why)})
}

func (p *Page) answer(w http.ResponseWriter, status int, form any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encoded(form)) // to a reader that may have gone
}
