package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// publishLock is a lock to publish to: mostly one of those that are held and waited for less, since
// who publishes does not wait.
func publishLock(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return lockName(r)
	case 1, 2:
		return lifeLock(r)
	}
	return calmLock(r)
}

// newTag is what the records of one publish say, and nobody else's.
func newTag(r *rand.Rand) string { return fmt.Sprintf("p%016x", r.Uint64()) }

// publishes publishes by the SDK, one thing after the other, and at times some things at once.
func (w *sdkWorker) publishes(ctx context.Context) {
	for ctx.Err() == nil {
		c, name := w.open(), newTag(w.rand)
		for range 1 + w.rand.IntN(60) {
			lock := publishLock(w.rand)
			if w.rand.IntN(8) == 0 {
				w.crowd(ctx, c, lockName(w.rand))
			} else {
				w.publish(ctx, c.PublishIf, lock, name, w.condition(ctx, c, lock))
			}
			if w.rand.IntN(4) == 0 {
				lock = lockName(w.rand)
				w.publish(ctx, c.PublishInTurn, lock, name, w.condition(ctx, c, lock))
			}
			if w.rand.IntN(3) == 0 {
				w.read(ctx, c)
			}
			pause(ctx, time.Duration(w.rand.IntN(60))*time.Millisecond)
		}
		_ = c.Close()
	}
}

// crowd publishes some things at once, each in its turn, so that they wait one behind the other.
func (w *sdkWorker) crowd(ctx context.Context, c *client.Client, lock string) {
	var crowd sync.WaitGroup
	for range 2 + w.rand.IntN(5) {
		one := &sdkWorker{h: w.h, to: w.to, rand: rand.New(rand.NewPCG(w.rand.Uint64(), 0))}
		crowd.Go(func() { one.publish(ctx, c.PublishInTurn, lock, "", nil) })
	}
	crowd.Wait()
}

// condition is one that holds as the worker sees it: mostly none. What it relies on may well have
// changed when that is published.
func (w *sdkWorker) condition(ctx context.Context, c *client.Client, lock string) *condition {
	file := fileNames(lock)[w.rand.IntN(filesOfLock)]
	kind := w.rand.IntN(6)
	if kind > 2 {
		return nil
	}
	data, is, err := c.ReadVersion(ctx, lock, file)
	if err != nil && !errors.Is(err, client.ErrFileNotFound) {
		return nil
	}
	size := int64(len(data))
	if w.rand.IntN(3) == 0 {
		pause(ctx, time.Duration(w.rand.IntN(100))*time.Millisecond)
	}
	switch {
	case kind == 0:
		return &condition{Files: []fileCondition{{File: file, Size: &size}}}
	case is == nil:
		return &condition{Files: []fileCondition{{File: file, Absent: true}}}
	case kind == 1:
		v := versionOf(is)
		return &condition{Lock: &v}
	}
	return &condition{Files: []fileCondition{{File: file, Version: versionOf(is)}}}
}

// publishes is a call of the SDK that publishes.
type publishes func(ctx context.Context, lock string, on *client.Condition, all ...*client.Operation) (*client.Version, error)

// publish publishes once, and gives up at times before there is an answer. name is that of a client
// that publishes one thing after the other.
func (w *sdkWorker) publish(ctx context.Context, call publishes, lock, name string, on *condition) {
	tag := newTag(w.rand)
	a := answer{Call: callPublish, Lock: lock, Data: tag, Operations: 1 + w.rand.IntN(3), Client: name, If: on}
	var operations []*client.Operation
	for _, o := range operationsOf(lock, tag, a.Operations) {
		operations = append(operations, o.message())
	}
	if w.rand.IntN(8) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(1+w.rand.IntN(100))*time.Millisecond)
		defer cancel()
	}
	a.Asked = time.Now()
	is, err := call(ctx, lock, on.message(), operations...)
	var refusal *client.ConflictError
	if errors.As(err, &refusal) {
		a.Now = toldOf(refusal.Version, refusal.Files)
	}
	switch {
	case errors.Is(err, client.ErrOutcomeUnknown): // the next publish rules it out
		a.Reason, a.Text = unasked, err.Error()
	case err != nil:
		if a.Reason, a.Text = reasonOf(err), err.Error(); a.Reason == indeterminate {
			a.Reason = notSent
		}
	}
	a.Version = version{is.GetToken(), is.GetN()}
	w.h.add(a)
}

// publishInTurn publishes something under the worker's session, in its turn, or some things at
// once. At times a copy is sent that has no session.
func (w *rawWorker) publishInTurn(ctx context.Context) {
	lock := lockName(w.rand)
	if w.rand.IntN(3) == 0 {
		w.crowd(ctx, lock)
		return
	}
	p, over := w.turn(lock)
	defer over()
	if p.roams = w.rand.IntN(8) == 0; p.roams {
		sessionless := p
		sessionless.request = proto.Clone(p.request).(*dlmv1.PublishRequest) //nolint:forcetypeassert // of the same type
		sessionless.session, sessionless.request.Session, sessionless.request.Request, sessionless.request.Wait = "", "", "", nil
		w.publisher.keep(sessionless)
	}
	w.publisher.bring(ctx, p)
}

// crowd publishes some things at once, through one server, so that they wait there one behind the
// other. Half of them are ruled out meanwhile.
func (w *rawWorker) crowd(ctx context.Context, lock string) {
	var crowd sync.WaitGroup
	server := w.rand.IntN(len(w.servers))
	for range 2 + w.rand.IntN(4) {
		delete(w.publisher.lanes, lock)
		p, over := w.turn(lock)
		one := w.publisher.another()
		crowd.Go(func() {
			defer over()
			one.deliver(ctx, p, server, time.Second+p.request.GetWait().AsDuration())
		})
		if w.rand.IntN(2) == 0 {
			other := w.publisher.another()
			crowd.Go(func() { other.withdrawSoon(ctx, p) })
		}
	}
	crowd.Wait()
}

// turn is the next publish of a lock's lane, under the worker's session, and what is to be called
// when it is over. At times its place is not listed in heartbeats, which end it.
func (w *rawWorker) turn(lock string) (p publishCall, over func()) {
	p = w.publisher.next(lock)
	listed := lock
	if w.rand.IntN(5) == 0 {
		listed = ""
	}
	n := w.number(listed)
	w.mu.Lock()
	p.request.Session, p.session = w.session, w.id
	w.mu.Unlock()
	p.request.Request = strconv.FormatUint(n, 10)
	p.request.Wait = durationpb.New(time.Duration(w.rand.IntN(3000)) * time.Millisecond)
	return p, func() { w.finish(n) }
}

// publisher publishes by the API, as a client in any language could, and as a careless one does: it
// repeats what was answered, through other servers, late, and at once; it withdraws what was not
// answered, or was; and it goes on with the next number over what it has not heard of.
type publisher struct {
	h       *history
	rand    *rand.Rand
	servers []dlmv1.LockServiceClient
	seen    int64 // the highest revision of any answer
	lanes   map[string]*publishLane
	known   map[string]*lockNow // by lock, as far as it was told
	late    []keptPublish       // that are repeated some time
	old     []keptPublish       // that are repeated when they may be forgotten, in order
}

type publishLane struct {
	id     [16]byte
	number uint64
}

// keptPublish is a publish that was made at some time.
type keptPublish struct {
	publishCall
	since time.Time
}

// publishCall is a publish.
type publishCall struct {
	request *dlmv1.PublishRequest
	tag     string
	on      *condition
	session string // public id; empty: it has none
	roams   bool   // it is sent without a session as well
}

func newPublisher(h *history, r *rand.Rand, to reach) (*publisher, error) {
	servers, err := clientsOf(to, dlmv1.NewLockServiceClient)
	return &publisher{h: h, rand: r, servers: servers, lanes: map[string]*publishLane{}, known: map[string]*lockNow{}}, err
}

func (w *publisher) run(ctx context.Context) {
	for ctx.Err() == nil {
		lock := publishLock(w.rand)
		for range 1 + w.rand.IntN(3) { // by what it was told of the one before
			w.bring(ctx, w.next(lock))
		}
		if w.rand.IntN(6) == 0 {
			w.read(ctx)
		}
		if w.rand.IntN(4) == 0 {
			w.pieces(ctx)
		}
		pause(ctx, time.Duration(w.rand.IntN(60))*time.Millisecond)
	}
}

// bring does with one publish what a client may do with it, and then something with an earlier one.
func (w *publisher) bring(ctx context.Context, p publishCall) {
	var sending sync.WaitGroup
	switch w.rand.IntN(15) {
	case 0: // two copies at once
		other, through := w.rand.IntN(len(w.servers)), w.timeout()
		sending.Go(func() { w.deliver(ctx, p, other, through) })
	case 1, 2: // ruled out while it waits, or is under way
		other := w.another()
		sending.Go(func() { other.withdrawSoon(ctx, p) })
	}
	certain := w.publish(ctx, p)
	sending.Wait()
	if !certain && w.rand.IntN(2) == 0 || w.rand.IntN(12) == 0 {
		w.withdraw(ctx, p)
	}
	if w.rand.IntN(3) == 0 {
		w.send(ctx, p)
	}
	if w.rand.IntN(4) == 0 {
		w.keep(p)
	}
	if len(w.late) > 0 && w.rand.IntN(4) == 0 {
		i := w.rand.IntN(len(w.late))
		w.send(ctx, w.late[i].publishCall)
		w.late = slices.Delete(w.late, i, i+1)
	}
	if len(w.old) > 0 && time.Since(w.old[0].since) > veryLate {
		w.send(ctx, w.old[0].publishCall)
		w.old = w.old[1:]
	}
}

// keep has a publish be repeated some time. One that does not say when it was born may be made once
// more, when it is forgotten: that is not asked for.
func (w *publisher) keep(p publishCall) {
	if p.request.GetBorn() == 0 {
		return
	}
	kept := keptPublish{p, time.Now()}
	if len(w.late) < 200 {
		w.late = append(w.late, kept)
	}
	if len(w.old) < 100 {
		w.old = append(w.old, kept)
	}
}

// next is the next publish of a lock's lane, and at times the first of a new one.
func (w *publisher) next(lock string) publishCall {
	l := w.lanes[lock]
	if l == nil || w.rand.IntN(10) == 0 {
		l = &publishLane{}
		for i := range l.id {
			l.id[i] = byte(w.rand.Uint32())
		}
		w.lanes[lock] = l
	}
	l.number += 1 + uint64(w.rand.IntN(5)/4) // which need not be the next one
	p := publishCall{
		request: &dlmv1.PublishRequest{Lock: lock, Lane: l.id[:], Number: l.number, Born: w.seen}, tag: newTag(w.rand), on: w.condition(lock),
	}
	p.request.Condition = p.on.message()
	if w.rand.IntN(6) == 0 {
		p.request.Born = 0
	}
	if w.rand.IntN(12) == 0 {
		return p // of nothing
	}
	for _, o := range operationsOf(lock, p.tag, 1+w.rand.IntN(3)) {
		p.request.Operations = append(p.request.Operations, o.message())
	}
	return p
}

// condition is one of what was told last, if anything was: mostly none, but of files that have
// lives.
func (w *publisher) condition(lock string) *condition {
	now := w.known[lock]
	if now == nil {
		return nil
	}
	file := fileNames(lock)[w.rand.IntN(filesOfLock)]
	is, there := now.Files[file]
	most := 10
	if hasLives(lock) {
		most = 5
	}
	switch w.rand.IntN(most) {
	case 0:
		return &condition{Files: []fileCondition{{File: file, Size: &is.Size}}}
	case 1:
		if there {
			return &condition{Files: []fileCondition{{File: file, Version: is.Version}}}
		}
		return &condition{Files: []fileCondition{{File: file, Absent: true}}}
	case 2:
		return &condition{Lock: &now.Version}
	case 3:
		other := fileNames(lock)[0]
		if is, there := now.Files[other]; there {
			return &condition{Lock: &now.Version, Files: []fileCondition{{File: other, Version: is.Version}}}
		}
	}
	return nil
}

// learn takes in what an answer says of a lock.
func (w *publisher) learn(p publishCall, a answer) {
	now, did := lockNow{}, operationsOf(p.request.GetLock(), p.tag, len(p.request.GetOperations()))
	switch before := w.known[p.request.GetLock()]; {
	case a.Reason == ok && p.on != nil && before != nil: // what it relied on was so
		now = before.after(did, a.Version)
	case a.Reason == ok:
		now.Version = a.Version
	case a.Now != nil:
		now = *a.Now
	default:
		return
	}
	w.known[p.request.GetLock()] = &now
}

// timeout is how long an answer is waited for: at times too short.
func (w *publisher) timeout() time.Duration {
	if w.rand.IntN(6) == 0 {
		return time.Duration(1+w.rand.IntN(30)) * time.Millisecond
	}
	return time.Second
}

// publish sends a publish until it is answered for certain, or that has taken too long.
func (w *publisher) publish(ctx context.Context, p publishCall) (certain bool) {
	for range 1 + w.rand.IntN(8) {
		switch w.send(ctx, p) {
		case ok, withdrawn, "OUTCOME_UNKNOWN", "SESSION_EXPIRED":
			return true
		case conflict:
			if p.on.ofVersions() {
				return true
			}
			fallthrough
		case busy:
			pause(ctx, time.Duration(20+w.rand.IntN(60))*time.Millisecond)
		default:
			pause(ctx, time.Duration(w.rand.IntN(300))*time.Millisecond)
		}
	}
	return false
}

// send sends a publish once, through any server, and returns its answer's reason.
func (w *publisher) send(ctx context.Context, p publishCall) (reason string) {
	a := w.deliver(ctx, p, w.rand.IntN(len(w.servers)), w.timeout()+p.request.GetWait().AsDuration())
	w.seen = max(w.seen, a.Version.Token, a.Got)
	w.learn(p, a)
	return a.Reason
}

// deliver sends a publish once, and returns its answer, which it writes down.
func (w *publisher) deliver(ctx context.Context, p publishCall, server int, timeout time.Duration) answer {
	a := w.answer(callPublish, p)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := w.servers[server].Publish(ctx, p.request)
	a.Reason = map[dlmv1.PublishResponse_Outcome]string{
		dlmv1.PublishResponse_OUTCOME_PUBLISHED: ok, dlmv1.PublishResponse_OUTCOME_BUSY: busy, dlmv1.PublishResponse_OUTCOME_WITHDRAWN: withdrawn,
		dlmv1.PublishResponse_OUTCOME_CONFLICT: conflict,
	}[resp.GetOutcome()]
	a.Version, a.Got = versionOf(resp.GetVersion()), resp.GetHolder().GetToken()
	if a.Reason == conflict {
		a.Now = toldOf(resp.GetLockVersion(), resp.GetFiles())
	}
	return w.answered(a, err)
}

// another is a publisher beside this one, which knows nothing.
func (w *publisher) another() *publisher {
	return &publisher{h: w.h, rand: rand.New(rand.NewPCG(w.rand.Uint64(), 0)), servers: w.servers}
}

// withdrawSoon rules a publish out that is under way.
func (w *publisher) withdrawSoon(ctx context.Context, p publishCall) {
	pause(ctx, time.Duration(w.rand.IntN(300))*time.Millisecond)
	w.withdraw(ctx, p)
}

// withdraw rules a publish out, or finds out that it came to be.
func (w *publisher) withdraw(ctx context.Context, p publishCall) {
	for range 8 {
		a := w.answer(callWithdraw, p)
		wctx, cancel := context.WithTimeout(ctx, w.timeout())
		resp, err := w.servers[w.rand.IntN(len(w.servers))].Withdraw(wctx, &dlmv1.WithdrawRequest{
			Lock: p.request.GetLock(), Lane: p.request.GetLane(), Number: p.request.GetNumber(), Born: p.request.GetBorn(),
		})
		cancel()
		if a.Version = versionOf(resp.GetPublished()); resp.GetPublished() == nil {
			a.Reason = withdrawn
		}
		switch w.answered(a, err).Reason {
		case ok, withdrawn, "OUTCOME_UNKNOWN":
			return
		}
		pause(ctx, time.Duration(w.rand.IntN(300))*time.Millisecond)
	}
}

func (w *publisher) answer(call string, p publishCall) answer {
	return answer{
		Call: call, Asked: time.Now(), Lock: p.request.GetLock(), Data: p.tag, Operations: len(p.request.GetOperations()),
		Lane: hex.EncodeToString(p.request.GetLane()), Number: p.request.GetNumber(), Born: p.request.GetBorn(),
		If: p.on, Session: p.session, Request: p.request.GetRequest(), Roams: p.roams,
	}
}

// answered writes an answer down.
func (w *publisher) answered(a answer, err error) answer {
	if err != nil {
		a.Reason, a.Text = rawReason(err), err.Error()
	}
	w.h.add(a)
	return a
}

func versionOf(v *dlmv1.Version) version { return version{v.GetToken(), v.GetN()} }

// read reads a file that goes into one answer, and its version.
func (w *publisher) read(ctx context.Context) {
	names := lockNames()
	lock := names[w.rand.IntN(len(names))]
	a := answer{Call: callRead, Asked: time.Now(), Lock: lock, File: fileNames(lock)[w.rand.IntN(filesOfLock)]}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resp, err := w.servers[w.rand.IntN(len(w.servers))].Read(ctx, &dlmv1.ReadRequest{Lock: lock, File: a.File})
	switch reason := rawReason(err); {
	case reason == "FILE_NOT_FOUND": // it has nothing
	case err != nil:
		a.Reason, a.Text = reason, err.Error()
	case resp.GetSize() != int64(len(resp.GetData())):
		return
	}
	a.Got, a.Sum, a.Version = resp.GetSize(), crc32.ChecksumIEEE(resp.GetData()), versionOf(resp.GetVersion())
	w.h.add(a)
}

// appends is a user of dlm append.
func (w workload) appends() (func(context.Context), error) {
	return w.together(1, func(ctx context.Context, r *rand.Rand) {
		for ctx.Err() == nil {
			w.append(ctx, r)
			pause(ctx, time.Duration(r.IntN(300))*time.Millisecond)
		}
	}), nil
}

// append runs one dlm append.
func (w workload) append(ctx context.Context, r *rand.Rand) {
	lock, tag := publishLock(r), newTag(r)
	if hasLives(lock) {
		w.change(ctx, r)
		return
	}
	line := strings.TrimSuffix(taggedRecord(lock, tag, 0), "\n")
	a := answer{Call: callDlmAppend, Lock: lock, Data: tag, Operations: 1}
	w.command(ctx, r, a, "", slices.Concat([]string{"append", "--quiet"}, w.to.flags(), []string{lock, fileOf(lock, 0), line})...)
}
