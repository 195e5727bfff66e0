package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// flooder is the process that floods: it prepares, says that it is ready, floods when it is told
// to, and says what became of that.
type flooder struct {
	addr  string
	lasts time.Duration
	short bool
	tally tally
	api   dlmv1.LockServiceClient // for what is prepared
	life  context.Context         // of the process
	work  sync.WaitGroup          // what ends with life
}

// outcome is what a flood says of itself at its end.
type outcome struct {
	Sent, Answered, Refused, Failed, Cut int64

	CPU, Lasted time.Duration // of the flood, without its preparation
}

// preparing bounds what a flood needs beforehand.
const preparing = 90 * time.Second

// flooding is the process.
func flooding(args []string, in io.Reader, out io.Writer) error {
	f := &flooder{}
	flags := flag.NewFlagSet("flood", flag.ContinueOnError)
	name := flags.String("name", "", "of the flood")
	flags.StringVar(&f.addr, "addr", "", "of the server")
	flags.DurationVar(&f.lasts, "for", 0, "how long")
	flags.BoolVar(&f.short, "short", false, "whether it is to be small")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := floodNamed(*name)
	if err != nil {
		return err
	}
	life, end := context.WithTimeout(context.Background(), preparing+f.lasts+time.Minute)
	defer end()
	f.life = life
	conn, err := f.connect()
	if err != nil {
		return err
	}
	f.api = dlmv1.NewLockServiceClient(conn)
	ctx, cancel := context.WithTimeout(life, preparing)
	flood, err := chosen.prepare(ctx, f)
	cancel()
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	fmt.Fprintln(out, "ready")
	told := bufio.NewReader(in)
	if _, err := told.ReadString('\n'); err != nil {
		return err
	}
	go func() { // whoever started this has gone
		_, _ = told.ReadString('\n')
		end()
	}()
	before, began := burnt(), time.Now()
	ctx, cancel = context.WithTimeout(life, f.lasts)
	defer cancel()
	if err := flood(ctx); err != nil {
		return err
	}
	t := &f.tally
	o := outcome{t.sent.Load(), t.answered.Load(), t.refused.Load(), t.failed.Load(), t.cut.Load(), burnt() - before, time.Since(began)}
	end()
	f.work.Wait()
	return json.NewEncoder(out).Encode(o)
}

// connect returns a connection of a library's, which ends with the process.
func (f *flooder) connect() (*grpc.ClientConn, error) {
	return grpc.NewClient(f.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// burnt returns the processor's time that this process has had.
func burnt() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// burning is a process that talks to nobody: until its input ends, it has burnt a part of a
// processor's time.
func burning(args []string, in io.Reader) error {
	flags := flag.NewFlagSet("burn", flag.ContinueOnError)
	part := flags.Float64("part", 0, "how much of a processor")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, end := untilEnd(in)
	defer end()
	for began := time.Now(); ctx.Err() == nil; {
		if float64(burnt()) >= *part*float64(time.Since(began)) {
			pause(ctx, time.Millisecond)
		}
	}
	return nil
}

// untilEnd returns a context that ends with the input, and soon after a run should have.
func untilEnd(in io.Reader) (context.Context, context.CancelFunc) {
	ctx, end := context.WithTimeout(context.Background(), 10*time.Minute)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		end()
	}()
	return ctx, end
}

// smaller returns how many there are to be, in the short form the second.
func (f *flooder) smaller(long, short int) int {
	if f.short {
		return short
	}
	return long
}

// connections does the same on several connections until ctx ends. Where one has ended, the next
// one is made: whatever the server says, the flood goes on.
func (f *flooder) connections(ctx context.Context, n int, window uint32, on func(ctx context.Context, w *wire) error) {
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			for ctx.Err() == nil {
				if err := f.connection(ctx, window, on); err != nil {
					pause(ctx, 5*time.Millisecond)
				}
			}
		})
	}
	running.Wait()
}

func (f *flooder) connection(ctx context.Context, window uint32, on func(ctx context.Context, w *wire) error) error {
	w, err := dial(ctx, f.addr, window, &f.tally)
	if w == nil {
		f.tally.cut.Add(1)
		return err
	}
	defer w.close()
	if err != nil {
		return err
	}
	return on(ctx, w)
}

// each does one thing again and again on several connections, with at most some calls at a time on
// each. 0: as many as the server lets begin.
func (f *flooder) each(ctx context.Context, n, most int, do func(w *wire) error) {
	f.connections(ctx, n, wide, func(ctx context.Context, w *wire) error {
		w.most = most
		for ctx.Err() == nil {
			if err := do(w); err != nil {
				return err
			}
		}
		return nil
	})
}

// encode returns a message as gRPC sends it.
func encode(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err) // what is sent is known
	}
	return framed(b, false)
}

// session begins a session with a library, and keeps it until the flood ends.
func (f *flooder) session(ctx context.Context, ttl time.Duration) (credential string, err error) {
	resp, err := f.api.Init(ctx, &dlmv1.InitRequest{Ttl: durationpb.New(ttl), Label: "flood"})
	if err != nil {
		return "", err
	}
	f.work.Go(func() {
		for f.life.Err() == nil {
			pause(f.life, ttl/5)
			bctx, cancel := context.WithTimeout(f.life, ttl/2)
			_, _ = f.api.Heartbeat(bctx, &dlmv1.HeartbeatRequest{Session: resp.GetSession()})
			cancel()
		}
	})
	return resp.GetSession(), nil
}

// waitersEach is how many wait on one connection.
const waitersEach = 1000

// queue has a lock held, and waited for by so many, as far as the server takes them.
func (f *flooder) queue(ctx context.Context, lock string, waiters int, wait func() *durationpb.Duration) error {
	holder, err := f.session(ctx, 10*time.Second)
	if err != nil {
		return err
	}
	if _, err := f.api.Acquire(ctx, &dlmv1.AcquireRequest{Session: holder, Lock: lock, Request: "holder"}); err != nil {
		return err
	}
	for first := 0; first < waiters; first += waitersEach {
		session, err := f.session(ctx, 10*time.Second)
		if err != nil {
			break // it has taken what it takes
		}
		conn, err := f.connect()
		if err != nil {
			return err
		}
		f.acquireAll(dlmv1.NewLockServiceClient(conn), min(waitersEach, waiters-first), func(call uint64) *dlmv1.StreamRequest {
			return acquire(call, session, lock, wait())
		})
	}
	return f.steady(ctx, waiters, func() (int, error) {
		resp, err := f.api.Inspect(ctx, &dlmv1.InspectRequest{Lock: lock})
		return int(resp.GetLock().GetQueueLength()), err
	})
}

// acquireAll sends so many calls on a stream, as far as the server takes them, and has the answers
// counted.
func (f *flooder) acquireAll(api dlmv1.LockServiceClient, n int, message func(call uint64) *dlmv1.StreamRequest) {
	stream, err := api.Stream(f.life)
	if err != nil {
		return
	}
	f.work.Go(func() {
		for {
			resp, err := stream.Recv()
			if err != nil {
				return
			}
			f.tally.count(fmt.Sprint(resp.GetError().GetCode()))
		}
	})
	for i := range n {
		f.tally.sent.Add(1)
		if err := stream.Send(message(uint64(i + 1))); err != nil {
			return
		}
	}
}

func acquire(call uint64, session, lock string, wait *durationpb.Duration) *dlmv1.StreamRequest {
	return &dlmv1.StreamRequest{Call: call, Request: &dlmv1.StreamRequest_Acquire{Acquire: &dlmv1.AcquireRequest{
		Session: session, Lock: lock, Request: fmt.Sprint(call), Wait: wait,
	}}}
}

// steady waits until there are so many of something, or for a second no more than there were.
func (f *flooder) steady(ctx context.Context, enough int, count func() (int, error)) error {
	for most, since := -1, time.Now(); most < enough && time.Since(since) < time.Second; pause(ctx, 100*time.Millisecond) {
		n, err := count()
		if err != nil {
			return err
		}
		if n > most {
			most, since = n, time.Now()
		}
	}
	return nil
}

// traffic has locks taken and given back by several until the flood ends, for there to be something
// to watch.
func (f *flooder) traffic(ctx context.Context, prefix string, n int) error {
	session, err := f.session(ctx, 10*time.Second)
	if err != nil {
		return err
	}
	for i := range n {
		f.work.Go(func() {
			lock := fmt.Sprint(prefix, i)
			for r := 1; f.life.Err() == nil; r++ {
				got, err := f.api.Acquire(f.life, &dlmv1.AcquireRequest{Session: session, Lock: lock, Request: fmt.Sprint("t", i, "-", r)})
				if err == nil {
					_, err = f.api.Release(f.life, &dlmv1.ReleaseRequest{Session: session, Lock: lock, Token: got.GetToken()})
				}
				if err != nil {
					pause(f.life, 10*time.Millisecond)
				}
			}
		})
	}
	return nil
}

// publish has a lock with a file of so many bytes.
func (f *flooder) publish(ctx context.Context, lock, file string, size int) error {
	session, err := f.session(ctx, 10*time.Second)
	if err != nil {
		return err
	}
	got, err := f.api.Acquire(ctx, &dlmv1.AcquireRequest{Session: session, Lock: lock, Request: "1"})
	if err != nil {
		return err
	}
	if _, err := f.api.Append(ctx, &dlmv1.AppendRequest{
		Session: session, Lock: lock, Token: got.GetToken(), Request: "2", File: file, Data: make([]byte, size),
	}); err != nil {
		return err
	}
	_, err = f.api.Release(ctx, &dlmv1.ReleaseRequest{Session: session, Lock: lock, Token: got.GetToken(), Appended: true})
	return err
}

func exitOf(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
