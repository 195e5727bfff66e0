package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// courseworkWorker calls as the coursework's clients do: it begins, acquires, appends, releases and
// closes, and repeats each call under its own number, through another server, until it is answered.
// Some clients go silent.
type courseworkWorker struct {
	h       *history
	rand    *rand.Rand
	servers []lockservice.LockServiceClient

	id      int32
	counter int
}

func (w *courseworkWorker) run(ctx context.Context) {
	for ctx.Err() == nil {
		ictx, cancel := context.WithTimeout(ctx, 2*time.Second)
		resp, err := w.any().ClientInit(ictx, &lockservice.Int{})
		cancel()
		if err != nil || resp.GetRc() <= 0 {
			pause(ctx, 100*time.Millisecond)
			continue
		}
		w.id, w.counter = resp.GetRc(), 0
		begun := time.Now()
		for range 1 + w.rand.IntN(10) {
			if !w.section(ctx, begun) {
				break
			}
			pause(ctx, time.Duration(w.rand.IntN(200))*time.Millisecond)
		}
		if w.rand.IntN(10) > 0 {
			cctx, cancel := context.WithTimeout(ctx, time.Second)
			_, _ = w.any().ClientClose(cctx, &lockservice.Int{Rc: w.id})
			cancel()
		}
	}
}

func (w *courseworkWorker) any() lockservice.LockServiceClient {
	return w.servers[w.rand.IntN(len(w.servers))]
}

func (w *courseworkWorker) next() string {
	w.counter++
	return fmt.Sprintf("%d-%d", w.id, w.counter)
}

// courseworkTTL is how long a client outlives its last call: short, so that silent ones are lost.
const courseworkTTL = 5 * time.Second

// courseworkTries is how often a call is sent to servers of which none is there, one after the
// other, before its client is given up. Numbers of clients are given out again after a restore, in
// which no server is there for longer than that.
const courseworkTries = 6

// call makes one call until it is answered, and writes the answer down. It returns the response;
// nil if the client is to be given up.
func (w *courseworkWorker) call(
	ctx context.Context, a answer, do func(context.Context, lockservice.LockServiceClient) (*lockservice.Response, error),
) *lockservice.Response {
	a.Asked = time.Now()
	away, failed := 0, ""
	for range 40 {
		a.Sends++
		cctx, cancel := context.WithTimeout(ctx, time.Second)
		resp, err := do(cctx, w.any())
		cancel()
		if err == nil {
			if resp.GetStatus() == lockservice.Status_DUPLICATE_ERROR {
				pause(ctx, 50*time.Millisecond)
				continue
			}
			if resp.GetStatus() != lockservice.Status_SUCCESS {
				a.Reason = resp.GetStatus().String()
			}
			a.Got = resp.GetVersion()
			w.h.add(a)
			return resp
		}
		if away++; status.Code(err) == codes.DeadlineExceeded {
			away = 0
		}
		if failed = err.Error(); ctx.Err() != nil || away >= courseworkTries {
			break
		}
		pause(ctx, 50*time.Millisecond)
	}
	a.Reason, a.Text = indeterminate, failed
	w.h.add(a)
	return nil
}

// section is one hold of the client that was begun at some time. It returns whether the client goes
// on.
func (w *courseworkWorker) section(ctx context.Context, begun time.Time) bool {
	args := func() *lockservice.LockArgs {
		return &lockservice.LockArgs{ClientId: w.id, RequestId: w.next()}
	}
	named := answer{Lock: courseworkLock, Begun: begun}
	acquire, a := args(), named
	a.Call, a.Request = viaCoursework+callAcquire, acquire.GetRequestId()
	resp := w.call(ctx, a, func(ctx context.Context, s lockservice.LockServiceClient) (*lockservice.Response, error) {
		return s.LockAcquire(ctx, acquire)
	})
	if resp.GetVersion() == 0 || resp.GetStatus() != lockservice.Status_SUCCESS {
		return false
	}
	token := resp.GetVersion()
	named.Token = token
	for n := range w.rand.IntN(6) {
		data := record(courseworkLock, token, n)
		file := &lockservice.FileArgs{
			ClientId: w.id, RequestId: w.next(), Filename: "./Server/Files/" + fileOf(courseworkLock, n), Content: []byte(data),
		}
		a := named
		a.Call, a.Request, a.Data = viaCoursework+callAppend, file.GetRequestId(), data
		resp := w.call(ctx, a, func(ctx context.Context, s lockservice.LockServiceClient) (*lockservice.Response, error) {
			return s.FileAppend(ctx, file)
		})
		if resp == nil || resp.GetStatus() != lockservice.Status_SUCCESS {
			return false // it is closed, or goes silent, in the middle of its section
		}
	}
	if w.rand.IntN(20) == 0 {
		return false
	}
	release := args()
	a = named
	a.Call, a.Request, a.Token = viaCoursework+callRelease, release.GetRequestId(), token
	send := func(ctx context.Context, s lockservice.LockServiceClient) (*lockservice.Response, error) {
		return s.LockRelease(ctx, release)
	}
	resp = w.call(ctx, a, send)
	if resp != nil && w.rand.IntN(4) == 0 { // a late duplicate is answered the same
		resp = w.call(ctx, a, send)
	}
	return resp != nil && resp.GetStatus() == lockservice.Status_SUCCESS
}

// coursework judges what the coursework's API answered, of clients that were begun since the last
// restore: an append that was acknowledged is staged under the hold that it was made in; a release
// that was acknowledged has ended the section itself, and published all that was acknowledged in
// it. That the files then have that once, in order and nothing else, other checkers say.
func (v *verdicts) coursework(a answer, f *facts, s *section, from time.Time, appends []answer) {
	if a.Reason != ok || a.Begun.Before(from) {
		return
	}
	switch a.kind() {
	case callAcquire:
		if f.sections[sectionID{a.Lock, a.Got}] == nil {
			v.accuseAs(byCoursework, a, "granted, and it was not")
		}
	case callAppend:
		if !s.has(a.Data) {
			v.accuseAs(byCoursework, a, "appended, and it is not staged")
		}
	case callRelease:
		switch {
		case s == nil || !s.own():
			v.accuseAs(byCoursework, a, "released, and it was not by its holder")
		case len(s.records) > 0 && !s.marked:
			v.accuseAs(byCoursework, a, "released, and its records are not published")
		}
		for _, one := range appends {
			if !s.has(one.Data) {
				v.accuseAs(byCoursework, one, "appended in a section that was released, and it is not in it")
			}
		}
	}
}

// has reports whether a section has a record that ends with some text.
func (s *section) has(text string) bool {
	if s == nil {
		return false
	}
	for _, r := range s.records {
		if strings.HasSuffix(r.says(), text) {
			return true
		}
	}
	return false
}
