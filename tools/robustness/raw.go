package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// rawWorker uses the API as a client in any language could, and as a careless one does: it repeats
// its calls through other servers, late, twice, and after their session's end; and it ends sections
// that are not its own.
type rawWorker struct {
	h       *history
	rand    *rand.Rand // of run's goroutine
	silent  bool       // its session makes no more calls, in the middle of a section
	servers []dlmv1.LockServiceClient

	mu      sync.Mutex
	session string // credential
	id      string
	next    uint64
	listed  map[uint64]string // unfinished: request → lock

	publisher *publisher // which publishes under its session as well

	own  map[sectionID]bool          // that it held
	late []func(ctx context.Context) // repeats, for later
}

func newRawWorker(h *history, r *rand.Rand, to reach) (*rawWorker, error) {
	p, err := newPublisher(h, r, to)
	return &rawWorker{h: h, rand: r, own: map[sectionID]bool{}, servers: p.servers, publisher: p}, err
}

func (w *rawWorker) run(ctx context.Context) {
	for ctx.Err() == nil {
		sctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		resp, err := w.any().Init(sctx, &dlmv1.InitRequest{Ttl: durationpb.New(time.Duration(2+w.rand.IntN(5)) * time.Second)})
		cancel()
		if err != nil {
			pause(ctx, 100*time.Millisecond)
			continue
		}
		w.mu.Lock()
		w.session, w.id, w.next, w.listed = resp.GetSession(), resp.GetId(), 0, map[uint64]string{}
		w.mu.Unlock()
		hctx, end := context.WithCancel(ctx)
		var beating sync.WaitGroup
		r := rand.New(rand.NewPCG(w.rand.Uint64(), 0))
		beating.Go(func() {
			w.heartbeats(hctx, r, resp.GetTtl().AsDuration()/4)
			end()
		})
		w.silent = false
		for range 1 + w.rand.IntN(30) {
			switch {
			case hctx.Err() != nil:
			case w.rand.IntN(4) == 0:
				w.publishInTurn(hctx)
			default:
				w.section(hctx)
			}
			if w.silent {
				break
			}
			w.repeatLate(ctx)
			if w.rand.IntN(6) == 0 {
				w.meddle(ctx)
			}
		}
		end()
		beating.Wait()
		if !w.silent && w.rand.IntN(2) == 0 {
			cctx, cancel := context.WithTimeout(ctx, time.Second)
			_, _ = w.any().Close(cctx, &dlmv1.CloseRequest{Session: resp.GetSession()})
			cancel()
		}
	}
}

func (w *rawWorker) any() dlmv1.LockServiceClient { return w.servers[w.rand.IntN(len(w.servers))] }

// heartbeats keeps the session, and checks what it is told of its holds.
func (w *rawWorker) heartbeats(ctx context.Context, r *rand.Rand, every time.Duration) {
	for {
		req := &dlmv1.HeartbeatRequest{}
		w.mu.Lock()
		req.Session, req.HighestRequest = w.session, w.next
		for n, lock := range w.listed {
			req.Unfinished = append(req.Unfinished, &dlmv1.Acquisition{Lock: lock, Request: strconv.FormatUint(n, 10)})
		}
		id := w.id
		w.mu.Unlock()
		asked := time.Now()
		bctx, cancel := context.WithTimeout(ctx, every)
		resp, err := w.servers[r.IntN(len(w.servers))].Heartbeat(bctx, req)
		cancel()
		if reason := rawReason(err); reason == "SESSION_EXPIRED" {
			return
		}
		for _, s := range resp.GetStates() {
			w.h.add(answer{
				Call: callHeartbeat, Asked: asked, Session: id, Lock: s.GetLock(), Request: s.GetRequest(), Token: s.GetToken(),
				Got: resp.GetRevision(), Holding: s.GetState() == dlmv1.AcquisitionState_STATE_HOLDING,
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

func (w *rawWorker) number(lock string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	if lock != "" {
		w.listed[w.next] = lock
	}
	return w.next
}

func (w *rawWorker) finish(n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.listed, n)
}

// again makes a call until it is answered for certain, through one server after the other, and
// writes down each answer. It returns the last.
func (w *rawWorker) again(ctx context.Context, a answer, timeout time.Duration, call func(context.Context, dlmv1.LockServiceClient, *answer) error) answer {
	a.Reason = indeterminate
	for range 8 {
		a.Asked = time.Now()
		a.Sends++
		cctx, cancel := context.WithTimeout(ctx, timeout)
		err := call(cctx, w.any(), &a)
		cancel()
		if err != nil {
			a.Reason, a.Text = rawReason(err), err.Error()
		}
		w.h.add(a)
		if a.Reason != indeterminate || ctx.Err() != nil {
			break
		}
		pause(ctx, 100*time.Millisecond)
	}
	return a
}

func (w *rawWorker) section(ctx context.Context) {
	lock := lockName(w.rand)
	w.mu.Lock()
	session, id := w.session, w.id
	w.mu.Unlock()
	n := w.number(lock)
	defer w.finish(n)
	request := strconv.FormatUint(n, 10)
	wait := time.Duration(w.rand.IntN(6000)) * time.Millisecond
	if w.rand.IntN(3) == 0 { // so that waits end as grants come
		wait /= 30
	}
	acquire := func(ctx context.Context, s dlmv1.LockServiceClient, a *answer) error {
		resp, err := s.Acquire(ctx, &dlmv1.AcquireRequest{Session: session, Lock: lock, Request: request, Wait: durationpb.New(wait)})
		a.Got = resp.GetToken()
		a.Reason = map[dlmv1.AcquireResponse_Outcome]string{
			dlmv1.AcquireResponse_OUTCOME_GRANTED: ok, dlmv1.AcquireResponse_OUTCOME_BUSY: busy, dlmv1.AcquireResponse_OUTCOME_CANCELLED: cancelled,
		}[resp.GetOutcome()]
		return err
	}
	first := answer{Call: callAcquire, Session: id, Lock: lock, Request: request}
	got := w.again(ctx, first, wait+2*time.Second, acquire)
	if got.Reason == "LOCK_EXPIRED" { // if that is untrue, it shows before a heartbeat ends it
		pause(ctx, 2*time.Second)
	}
	if got.Reason != ok {
		return
	}
	token := got.Got
	if w.rand.IntN(8) == 0 { // another copy of what is answered: the same grant
		cctx, cancel := context.WithTimeout(ctx, wait+2*time.Second)
		again := got
		if again.Asked = time.Now(); acquire(cctx, w.any(), &again) == nil && again.Reason == ok {
			w.h.add(again)
		}
		cancel()
	}
	for {
		next := w.hold(ctx, session, id, lock, token)
		if next == 0 {
			return
		}
		token = next
	}
}

// hold is what is done under one token. It returns the next, if it was committed.
func (w *rawWorker) hold(ctx context.Context, session, id, lock string, token int64) (next int64) {
	w.own[sectionID{lock, token}] = true
	appended, doubt, last := false, false, []string(nil)
	for i := range w.rand.IntN(5) {
		request := strconv.FormatUint(w.number(""), 10)
		o := operationOf(lock, record(lock, token, i), i)
		appended = true
		stage := func(ctx context.Context, s dlmv1.LockServiceClient, a *answer) error {
			resp, err := s.Append(ctx, o.request(session, lock, token, request, uint64(i)+1))
			a.Got, a.Reason = resp.GetRevision(), ok
			return err
		}
		first := answer{Call: callAppend, Session: id, Lock: lock, Token: token, Request: request, Data: o.says()}
		a := w.again(ctx, first, time.Second, stage)
		switch {
		case a.Reason == ok:
			last = append(last, request) // it does not know which of them came over one connection
		case a.Reason == indeterminate, a.Reason == "UNIMPLEMENTED": // before the feature is on
			doubt = true
		case a.Reason != ok:
			return 0 // the heartbeat says what became of it
		}
		if w.rand.IntN(10) == 0 {
			w.later(func(ctx context.Context) {
				again := first
				again.Sends = a.Sends + 1
				w.again(ctx, again, time.Second, stage)
			})
		}
	}
	if w.rand.IntN(30) == 0 {
		pause(ctx, time.Duration(w.rand.IntN(6000))*time.Millisecond)
	}
	if w.silent = w.rand.IntN(100) == 0; w.silent { // of 15 sections: some in ten sessions
		return 0
	}
	kind := []string{callRelease, callRelease, callRelease, callCommit, callDiscard}[w.rand.IntN(5)]
	if doubt {
		kind = callDiscard
	}
	end := func(ctx context.Context, s dlmv1.LockServiceClient, a *answer) error {
		return ending(ctx, s, session, last, a)
	}
	first := answer{Call: kind, Session: id, Lock: lock, Token: token, Appended: appended}
	a := w.again(ctx, first, time.Second, end)
	if w.rand.IntN(2) == 0 { // late, or at once
		again := first
		again.Sends = a.Sends
		repeat := func(ctx context.Context) { w.again(ctx, again, time.Second, end) }
		if w.rand.IntN(2) == 0 {
			repeat(ctx)
		} else {
			w.later(repeat)
		}
	}
	if w.rand.IntN(6) == 0 { // what was never granted, or to somebody else
		other := answer{Call: callRelease, Session: id, Other: true, Lock: lock, Token: token + int64(w.rand.IntN(5)) - 2, Appended: w.rand.IntN(2) == 0}
		// To its own it would say something else than before.
		if other.Token > 0 && !w.own[sectionID{lock, other.Token}] && other.Token != a.Got {
			w.again(ctx, other, time.Second, func(ctx context.Context, s dlmv1.LockServiceClient, a *answer) error {
				return ending(ctx, s, session, nil, a)
			})
		}
	}
	if kind == callCommit && a.Reason == ok {
		return a.Got
	}
	return 0
}

// meddle acts under the token of somebody else, which anybody can see: at once, or when that
// section may have ended.
func (w *rawWorker) meddle(ctx context.Context) {
	lock := lockName(w.rand)
	w.mu.Lock()
	session, id := w.session, w.id
	w.mu.Unlock()
	ictx, cancel := context.WithTimeout(ctx, time.Second)
	resp, err := w.any().Inspect(ictx, &dlmv1.InspectRequest{Lock: lock})
	cancel()
	holder := resp.GetLock().GetHolder()
	if err != nil || holder == nil || holder.GetSession() == id {
		return
	}
	token := holder.GetToken()
	pause(ctx, time.Duration(w.rand.IntN(4)*w.rand.IntN(20))*time.Millisecond)
	a := answer{Call: callRelease, Session: id, Other: true, Lock: lock, Token: token, Appended: w.rand.IntN(2) == 0}
	switch w.rand.IntN(4) {
	case 0:
		a.Call = callCommit
	case 1:
		a.Call, a.Request, a.Data = callAppend, strconv.FormatUint(w.number(""), 10), record(lock, token, 1000)
		w.again(ctx, a, time.Second, func(ctx context.Context, s dlmv1.LockServiceClient, a *answer) error {
			resp, err := s.Append(ctx, &dlmv1.AppendRequest{
				Session: session, Lock: lock, Token: token, Request: a.Request, File: fileOf(lock, 1000), Data: []byte(a.Data), Number: 1,
			})
			a.Got, a.Reason = resp.GetRevision(), ok
			return err
		})
		return
	}
	w.again(ctx, a, time.Second, func(ctx context.Context, s dlmv1.LockServiceClient, a *answer) error {
		return ending(ctx, s, session, nil, a)
	})
}

// ending makes the call that an answer is for.
func ending(ctx context.Context, s dlmv1.LockServiceClient, session string, last []string, a *answer) (err error) {
	a.Got, a.Reason = 0, ok
	switch a.Call {
	case callRelease:
		_, err = s.Release(ctx, &dlmv1.ReleaseRequest{Session: session, Lock: a.Lock, Token: a.Token, Appended: a.Appended, Last: last})
	case callCommit:
		var resp *dlmv1.CommitResponse
		resp, err = s.Commit(ctx, &dlmv1.CommitRequest{Session: session, Lock: a.Lock, Token: a.Token, Appended: a.Appended, Last: last})
		a.Got = resp.GetToken()
	case callDiscard:
		var resp *dlmv1.DiscardResponse
		resp, err = s.Discard(ctx, &dlmv1.DiscardRequest{Session: session, Lock: a.Lock, Token: a.Token, Appended: a.Appended})
		if resp.GetPublished() {
			a.Reason = published
		}
	default:
		panic(fmt.Sprint("no ending: ", a.Call))
	}
	return err
}

// later keeps a repeat for another time, up to some hundred.
func (w *rawWorker) later(repeat func(context.Context)) {
	if len(w.late) < 200 {
		w.late = append(w.late, repeat)
	}
}

// repeatLate makes one of the repeats that were kept, every now and then.
func (w *rawWorker) repeatLate(ctx context.Context) {
	if len(w.late) == 0 || w.rand.IntN(3) > 0 {
		return
	}
	i := w.rand.IntN(len(w.late))
	repeat := w.late[i]
	w.late[i] = w.late[len(w.late)-1]
	w.late = w.late[:len(w.late)-1]
	repeat(ctx)
}

// rawReason is a call's error as the API's reason; indeterminate if the code says so.
func rawReason(err error) string {
	if err == nil {
		return ok
	}
	st, _ := status.FromError(err)
	switch st.Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Internal, codes.Unknown:
		return indeterminate
	}
	for _, d := range st.Details() {
		var info *errdetails.ErrorInfo
		if i, is := d.(*errdetails.ErrorInfo); is {
			info = i
		}
		if info.GetDomain() == "dlm" {
			return info.GetReason()
		}
	}
	if errors.Is(err, context.Canceled) {
		return indeterminate
	}
	return "WITHOUT_REASON"
}
