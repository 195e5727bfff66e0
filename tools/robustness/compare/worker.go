package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

// locker is a worker's access to a lock.
type locker interface {
	// acquire waits until the lock is held.
	acquire(ctx context.Context) (hold, error)
	close()
}

// hold is one hold of a lock.
type hold interface {
	// token is what the store is shown; 0: nothing.
	token() int64
	// lost says that the lock is lost, as far as the lock's own library tells its users.
	lost() error
	// release fails if the lock was not held any more, as far as the service tells.
	release(ctx context.Context) error
}

// files is a hold that has files of its own.
type files interface {
	read(ctx context.Context) ([2][]int, error)
	add(ctx context.Context, half, n int) error
}

// patient is how long a worker waits for the answer to one call. A cut ends before.
const patient = 30 * time.Second

// worker is a worker process: it goes from section to section until the run is over, or it is
// killed.
type worker struct {
	name, lock, store string
	locker            locker
}

func runWorker(args []string) error {
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	var w worker
	flags.StringVar(&w.name, "name", "", "")
	flags.StringVar(&w.lock, "lock", "", "")
	flags.StringVar(&w.store, "store", "", "")
	name := flags.String("subject", "", "")
	service := flags.String("service", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, s := range subjects() {
		if s.name != *name {
			continue
		}
		for ctx := context.Background(); ; {
			err := w.sections(ctx, func(ctx context.Context) (locker, error) { return s.open(ctx, *service, w.lock) })
			if errors.Is(err, errOver) {
				return nil
			}
			fmt.Fprintln(os.Stderr, err)
			pause(ctx, 100*time.Millisecond)
		}
	}
	return fmt.Errorf("no subject %q", *name)
}

// sections makes one section after the other, until something fails.
func (w *worker) sections(ctx context.Context, open func(context.Context) (locker, error)) error {
	opening, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	l, err := open(opening)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer l.close()
	w.locker = l
	for {
		if err := w.section(ctx); err != nil {
			return err
		}
	}
}

func (w *worker) ask(ctx context.Context, q request) (response, error) {
	q.Lock, q.Worker = w.lock, w.name
	return ask(ctx, w.store, q)
}

// section is one section. Whatever becomes of it, its end is told.
func (w *worker) section(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	h, err := w.locker.acquire(waiting)
	if err != nil {
		return fmt.Errorf("acquire: %w", err)
	}
	begin, err := w.ask(ctx, request{Op: opBegin})
	if err != nil {
		return errors.Join(err, w.release(ctx, h))
	}
	end, err := w.under(ctx, h, begin)
	released := w.release(ctx, h)
	if end == acknowledged && released != nil {
		end = failed
	}
	_, told := w.ask(ctx, request{Op: opEnd, Section: begin.Section, End: end})
	return errors.Join(err, released, told)
}

// under is what happens while the lock is held. It returns how the section ends if its release
// succeeds.
func (w *worker) under(ctx context.Context, h hold, begin response) (kind, error) {
	n := begin.Section
	q := request{Op: opRead, Section: n, Token: h.token()}
	own, isOwn := h.(files)
	if isOwn {
		saw, err := own.read(ctx)
		if err != nil {
			return failed, fmt.Errorf("read: %w", err)
		}
		q.Op, q.Saw = opSaw, saw
	}
	was, err := w.ask(ctx, q)
	if err != nil {
		return failed, err
	}
	for half, set := range was.Sets {
		pause(ctx, begin.Work/2)
		if err := h.lost(); err != nil {
			return gaveUp, err
		}
		if isOwn {
			if err := own.add(ctx, half, n); err != nil {
				_, told := w.ask(ctx, request{Op: opRefused, Section: n, Half: half})
				return failed, errors.Join(err, told)
			}
			continue
		}
		if _, err := w.ask(ctx, request{Op: opWrite, Section: n, Token: h.token(), Half: half, Set: with(set, n)}); err != nil {
			return failed, err
		}
	}
	return acknowledged, nil
}

func (w *worker) release(ctx context.Context, h hold) error {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	if err := h.release(ctx); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}
