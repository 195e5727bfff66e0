package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

const (
	locks     = 4 // few, so that there are always waiters
	calmLocks = 2 // that are wanted seldom, so that there is room for who does not wait
)

func lockName(r *rand.Rand) string {
	switch r.IntN(24) {
	case 0, 1:
		return calmLock(r)
	case 2, 3, 4:
		return lifeLock(r)
	}
	return fmt.Sprint("lock", r.IntN(locks))
}

func calmLock(r *rand.Rand) string { return fmt.Sprint("calm", r.IntN(calmLocks)) }

// work is a worker process: it uses the service until it is killed or its input ends, by the SDK
// and by raw calls, and writes down what it is answered.
func work(args []string) error {
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	dir := flags.String("dir", "", "where the histories are")
	name := flags.String("name", "", "of this worker")
	seed := flags.Uint64("seed", 0, "")
	endpoints := flags.String("endpoints", "", "")
	certs := flags.String("certs", "", "directory of certificates; empty: none is shown")
	as := flags.String("as", "", "whose certificate is shown")
	dlm := flags.String("dlm", "", "the dlm binary")
	if err := flags.Parse(args); err != nil {
		return err
	}
	h, err := newHistory(filepath.Join(*dir, *name+".history"))
	if err != nil {
		return err
	}
	to, err := newReach(strings.Split(*endpoints, ","), *certs, *as)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // the end of the run, or of whoever started this
		_, _ = os.Stdin.Read(make([]byte, 1))
		cancel()
	}()
	var running sync.WaitGroup
	for i := range 3 {
		running.Go(func() { (&sdkWorker{h: h, to: to, rand: rand.New(rand.NewPCG(*seed, uint64(i)))}).run(ctx) })
	}
	for i := range 2 {
		running.Go(func() { (&sdkWorker{h: h, to: to, rand: rand.New(rand.NewPCG(*seed, uint64(400+i)))}).links(ctx) })
	}
	running.Go(func() { (&sdkWorker{h: h, to: to, rand: rand.New(rand.NewPCG(*seed, 500))}).publishes(ctx) })
	running.Go(func() { (&sdkWorker{h: h, to: to, rand: rand.New(rand.NewPCG(*seed, 501))}).tails(ctx) })
	for i := range 2 {
		w, err := newPublisher(h, rand.New(rand.NewPCG(*seed, uint64(600+i))), to)
		if err != nil {
			return err
		}
		running.Go(func() { w.run(ctx) })
	}
	for i := range 2 {
		w, err := newRawWorker(h, rand.New(rand.NewPCG(*seed, uint64(100+i))), to)
		if err != nil {
			return err
		}
		running.Go(func() { w.run(ctx) })
	}
	for _, more := range chosenWorkloads(rand.New(rand.NewPCG(*seed, 200)), *certs != "") {
		run, err := more(workload{h: h, seed: *seed, to: to, dir: *dir, dlm: *dlm})
		if err != nil {
			return err
		}
		running.Go(func() { run(ctx) })
	}
	running.Wait()
	return nil
}

// sdkWorker uses the SDK as a user does.
type sdkWorker struct {
	h    *history
	to   reach
	rand *rand.Rand
}

func (w *sdkWorker) run(ctx context.Context) {
	for ctx.Err() == nil {
		c := w.open()
		for range 1 + w.rand.IntN(40) {
			w.section(ctx, c)
			if w.rand.IntN(3) == 0 {
				w.read(ctx, c)
			}
		}
		_ = c.Close()
	}
}

// open opens a client, which prefers some server.
func (w *sdkWorker) open() *client.Client {
	cfg := w.to.config(time.Duration(2+w.rand.IntN(6)) * time.Second)
	shuffled := slices.Clone(cfg.Endpoints)
	w.rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	cfg.Endpoints = shuffled
	if w.rand.IntN(2) == 0 {
		cfg.Linger = time.Duration(1000+w.rand.IntN(1000)) * time.Millisecond
	}
	c, err := client.Open(cfg)
	if err != nil {
		panic(err)
	}
	return c
}

// acquire tries to get a lock or waits for it; nil: it was not to be had.
func (w *sdkWorker) acquire(ctx context.Context, c *client.Client, lock string) *client.Lock {
	a := answer{Call: callAcquire, Asked: time.Now(), Lock: lock, Sends: 0}
	var l *client.Lock
	var err error
	if w.rand.IntN(4) == 0 {
		l, err = c.TryLock(ctx, lock)
	} else {
		l, err = c.Lock(ctx, lock, client.WithWait(time.Duration(1+w.rand.IntN(15))*time.Second))
	}
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, client.ErrBusy) {
			a.Reason, a.Text = reasonOf(err), err.Error()
			w.h.add(a)
			pause(ctx, 50*time.Millisecond)
		}
		return nil
	}
	a.Got = l.Token()
	w.h.add(a)
	return l
}

// section is one hold, from its acquire to its end.
func (w *sdkWorker) section(ctx context.Context, c *client.Client) {
	lock := lockName(w.rand)
	l := w.acquire(ctx, c, lock)
	if l == nil {
		return
	}
	appended, told := false, hasLives(lock) && w.rand.IntN(4) == 0
	for n := range w.rand.IntN(6) {
		token := l.Token()
		if w.stage(ctx, c, l, told, operationOf(lock, record(lock, token, n), n)) != nil {
			break
		}
		appended = true
		if w.rand.IntN(8) == 0 {
			pause(ctx, time.Duration(w.rand.IntN(400))*time.Millisecond)
		}
		if w.rand.IntN(6) == 0 {
			err := w.commit(ctx, l)
			if w.leaves(ctx, l) {
				return
			}
			appended = appended && err != nil
			if err == nil && l.Token() == token { // published, and lost: what comes now has no token
				_ = l.Unlock(context.WithoutCancel(ctx))
				return
			}
		}
	}
	if w.rand.IntN(50) == 0 {
		pause(ctx, time.Duration(w.rand.IntN(4000))*time.Millisecond)
	}
	_ = w.end(ctx, l, appended)
}

// append adds the nth record to a section.
func (w *sdkWorker) append(ctx context.Context, l *client.Lock, n int, data string) error {
	return w.call(answer{Call: callAppend, Lock: l.Name(), Token: l.Token(), Data: data}, func(*answer) error {
		return l.Append(ctx, fileOf(l.Name(), n), []byte(data))
	})
}

// commit publishes what a section has. If it has the same token after that, it is lost.
func (w *sdkWorker) commit(ctx context.Context, l *client.Lock) error {
	token := l.Token()
	return w.call(answer{Call: callCommit, Lock: l.Name(), Token: token, Appended: true}, func(a *answer) error {
		err := l.Commit(ctx)
		if err == nil && l.Token() != token {
			a.Got = l.Token()
		}
		return err
	})
}

// leaves gives a lock up, and writes nothing down, if ctx has ended: a commit that was broken off
// by that goes on, and whether what is ended now is its section or the next one is not known. It
// reports whether it did.
func (w *sdkWorker) leaves(ctx context.Context, l *client.Lock) bool {
	if ctx.Err() == nil {
		return false
	}
	_ = l.Unlock(context.WithoutCancel(ctx))
	return true
}

// end releases a section, or sometimes discards it.
func (w *sdkWorker) end(ctx context.Context, l *client.Lock, appended bool) error {
	end := answer{Call: callRelease, Lock: l.Name(), Token: l.Token(), Appended: appended}
	if w.rand.IntN(6) == 0 {
		return w.discard(ctx, l, appended)
	}
	return w.call(end, func(*answer) error { return l.Unlock(context.WithoutCancel(ctx)) })
}

// discard drops a section.
func (w *sdkWorker) discard(ctx context.Context, l *client.Lock, appended bool) error {
	return w.call(answer{Call: callDiscard, Lock: l.Name(), Token: l.Token(), Appended: appended}, func(*answer) error {
		return l.Discard(context.WithoutCancel(ctx))
	})
}

// read reads one of a lock's files, whole.
func (w *sdkWorker) read(ctx context.Context, c *client.Client) {
	if w.rand.IntN(4) == 0 {
		lock := lifeLock(w.rand)
		_, _, _ = readLife(ctx, c, w.h, lock, fileNames(lock)[w.rand.IntN(filesOfLock)])
		return
	}
	names := lockNames()
	lock := names[w.rand.IntN(len(names))]
	_, _ = readWhole(ctx, c, w.h, lock, fileNames(lock)[w.rand.IntN(filesOfLock)])
}

// readWhole reads a file, and writes down what it has, unless ctx has ended. A file that is not
// there has nothing.
func readWhole(ctx context.Context, c *client.Client, h *history, lock, name string) ([]byte, error) {
	a := answer{Call: callRead, Asked: time.Now(), Lock: lock, File: name}
	text, err := c.Read(ctx, lock, name)
	if errors.Is(err, client.ErrFileNotFound) {
		text, err = nil, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		a.Reason, a.Text = reasonOf(err), err.Error()
	}
	a.Got, a.Sum = int64(len(text)), crc32.ChecksumIEEE(text)
	h.add(a)
	return text, err
}

// call makes one call and writes down its answer. An error that is the client's own, about its
// hold, says nothing of the call.
func (w *sdkWorker) call(a answer, do func(*answer) error) error {
	a.Asked = time.Now()
	err := do(&a)
	if err != nil {
		a.Reason, a.Text = reasonOf(err), err.Error()
	}
	w.h.add(a)
	return err
}

// reasonOf is an SDK's error as the API's reason.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, client.ErrPublished):
		return published
	case errors.Is(err, client.ErrOutcomeUnknown) && errors.Is(err, client.ErrUnavailable):
		return unasked
	case errors.Is(err, client.ErrOutcomeUnknown):
		return "OUTCOME_UNKNOWN"
	case errors.Is(err, client.ErrLockExpired):
		return "LOCK_EXPIRED"
	case errors.Is(err, client.ErrBusy):
		return busy
	case errors.Is(err, client.ErrConflict):
		return conflict
	}
	var e *client.Error
	if errors.As(err, &e) && e.Reason != "" {
		return e.Reason
	}
	return indeterminate
}

// pause waits a while: load, not synchronisation.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
