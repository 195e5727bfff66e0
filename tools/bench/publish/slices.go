package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/client"
)

const (
	connections = 8 // as in dlm bench
	manyClients = 128
	longClients = 64
	recordBytes = 256

	ours, theirs = "process", "put process"
	pushes       = "rpush"
)

// slice measures one, and of processes both kinds.
func (b *bench) slice(ctx context.Context, name string) (map[string]measured, error) {
	var m measured
	var p50 float64
	var err error
	oneFile := func(int) (string, string) { return name, "f" }
	ownFile := func(i int) (string, string) { return name, fmt.Sprint("f", i) }
	ownLock := func(i int) (string, string) { return fmt.Sprint(name, i), "f" }
	switch name {
	case "publish":
		m, _, err = b.publishing(ctx, manyClients, b.lasts, oneFile)
	case "append":
		m, err = b.appending(ctx, oneFile)
	case "mutex":
		m, _, err = b.onEtcd(ctx, manyClients, b.lasts, mutexed)
	case pushes:
		m, err = b.pushing(ctx)
	case "shared":
		m, _, err = b.publishing(ctx, longClients, b.long, ownFile)
	case "own":
		m, _, err = b.publishing(ctx, longClients, b.long, ownLock)
	case "puts":
		m, _, err = b.onEtcd(ctx, longClients, b.long, put)
	case "chain":
		m, _, err = b.publishingBy(ctx, 1, b.lasts, oneFile, chained())
	case "stm":
		m, _, err = b.onEtcd(ctx, 1, b.lasts, transacted)
	case "publish1":
		_, p50, err = b.publishing(ctx, 1, b.lasts, oneFile)
		m.value = p50
	case "put1":
		_, p50, err = b.onEtcd(ctx, 1, b.lasts, put)
		m.value = p50
	case ours, theirs:
		return b.processes(ctx)
	}
	return map[string]measured{name: m}, err
}

// settled is when the unfolded bundles of a long slice are counted first.
func (b *bench) settled() time.Duration { return min(5*time.Second, b.long/2) }

// load has clients do one thing after the other, for a while before the clock runs and until it has
// stopped. done is how many things each has done, p50 the median time in ms.
func load(ctx context.Context, clients int, lasts time.Duration, do func(ctx context.Context, i, n int) error) (
	m measured, p50 float64, done []int, err error,
) {
	start := time.Now().Add(min(time.Second/2, lasts/4))
	end := start.Add(lasts)
	done = make([]int, clients)
	took := make([][]time.Duration, clients)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			for began := time.Now(); began.Before(end); began = time.Now() {
				if err := do(ctx, i, done[i]); err != nil {
					fail(fmt.Errorf("client %d: %w", i, err))
					return
				}
				done[i]++
				if now := time.Now(); now.After(start) && now.Before(end) {
					took[i] = append(took[i], now.Sub(began))
				}
			}
		})
	}
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return measured{}, 0, nil, err
	}
	all := slices.Concat(took...)
	if len(all) == 0 {
		return measured{}, 0, nil, errors.New("nothing was done in time")
	}
	return measured{value: float64(len(all)) / lasts.Seconds()}, median(all, milliseconds), done, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// record is what a client writes as its n-th.
func record(i, n int) []byte {
	return fmt.Appendf(make([]byte, 0, recordBytes), "%08d %08d %*s\n", i, n, recordBytes-19, "")
}

// sdk opens the clients of the SDK.
func (b *bench) sdk() (cs []*client.Client, closeAll func(), err error) {
	closeAll = func() {
		for _, c := range cs {
			_ = c.Close() // nothing is held any more
		}
	}
	for range connections {
		c, err := client.New(b.dlm)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		cs = append(cs, c)
	}
	return cs, closeAll, nil
}

// publishing measures clients that publish, each to a file.
func (b *bench) publishing(ctx context.Context, clients int, lasts time.Duration, file func(i int) (lock, file string)) (
	m measured, p50 float64, err error,
) {
	return b.publishingBy(ctx, clients, lasts, file, func(ctx context.Context, c *client.Client, lock, file string, data []byte) error {
		_, err := c.Publish(ctx, lock, client.Append(file, data))
		return err
	})
}

// publisher publishes a record.
type publisher func(ctx context.Context, c *client.Client, lock, file string, data []byte) error

// chained publishes each record on the condition that the one before is the last of the file.
func chained() publisher {
	var last *client.Version
	return func(ctx context.Context, c *client.Client, lock, file string, data []byte) (err error) {
		last, err = c.PublishIf(ctx, lock, &client.Condition{Files: []*client.FileCondition{client.VersionIs(file, last)}}, client.Append(file, data))
		return err
	}
}

func (b *bench) publishingBy(
	ctx context.Context, clients int, lasts time.Duration, file func(i int) (lock, file string), publish publisher,
) (m measured, p50 float64, err error) {
	cs, closeAll, err := b.sdk()
	if err != nil {
		return measured{}, 0, err
	}
	defer closeAll()
	counts, end := make(chan measured, 1), make(chan struct{})
	go func() { counts <- b.unfolded(ctx, end) }()
	m, p50, done, err := load(ctx, clients, lasts, func(ctx context.Context, i, n int) error {
		l, f := file(i)
		return publish(ctx, cs[i%connections], l, f, record(i, n))
	})
	close(end)
	count := <-counts
	m.before, m.after = count.before, count.after
	if err = errors.Join(err, count.err); err != nil {
		return measured{}, 0, err
	}
	return m, p50, check(ctx, cs[0], file, done)
}

// appending measures clients that lock, append, and unlock.
func (b *bench) appending(ctx context.Context, file func(i int) (lock, file string)) (measured, error) {
	cs, closeAll, err := b.sdk()
	if err != nil {
		return measured{}, err
	}
	defer closeAll()
	m, _, done, err := load(ctx, manyClients, b.lasts, func(ctx context.Context, i, n int) error {
		name, f := file(i)
		l, err := cs[i%connections].Lock(ctx, name)
		if err != nil {
			return err
		}
		if err := l.Append(ctx, f, record(i, n)); err != nil {
			return errors.Join(err, l.Discard(ctx))
		}
		return l.Unlock(ctx)
	})
	if err != nil {
		return measured{}, err
	}
	return m, check(ctx, cs[0], file, done)
}

// check reads the clients' files, and finds in them what each of them was told that it has written.
func check(ctx context.Context, c *client.Client, file func(i int) (lock, file string), done []int) error {
	contents, seen := map[[2]string]bool{}, make([]int, len(done))
	for i := range done {
		l, f := file(i)
		if contents[[2]string{l, f}] {
			continue
		}
		contents[[2]string{l, f}] = true
		data, err := c.Read(ctx, l, f)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(data, recordBytes) {
			var by, n int
			if _, err := fmt.Sscanf(string(part[:min(len(part), 18)]), "%d %d", &by, &n); err != nil || by >= len(seen) ||
				n != seen[by] || string(part) != string(record(by, n)) {
				return fmt.Errorf("%s of %s: %q is not what comes next of any client", f, l, part)
			}
			seen[by]++
		}
	}
	if !slices.Equal(seen, done) {
		return fmt.Errorf("of each client there are so many records: %d, but acknowledged were %d", seen, done)
	}
	return nil
}

// unfolded counts the bundles that are not folded, the most in a second each: up to settled, and at
// the end.
func (b *bench) unfolded(ctx context.Context, end <-chan struct{}) (m measured) {
	var c *clientv3.Client
	if c, m.err = connect(ctx, b.etcd); m.err != nil {
		return m
	}
	defer c.Close()
	tick := time.NewTicker(time.Second / 4)
	defer tick.Stop()
	var lately [4]float64
	settled := time.Now().Add(b.settled())
	for n := 0; ; n++ {
		var resp *clientv3.GetResponse
		resp, m.err = c.Get(ctx, "/dlm/bundles/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if m.err != nil {
			return m
		}
		lately[n%len(lately)] = float64(resp.Count)
		m.after = slices.Max(lately[:])
		if time.Now().Before(settled) {
			m.before = m.after
		}
		select {
		case <-end:
			return m
		case <-tick.C:
		}
	}
}

func connect(ctx context.Context, endpoint string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Context: ctx, Endpoints: []string{endpoint}, Logger: zap.NewNop()})
}

// etcdClient is one client of etcd's.
type etcdClient struct {
	*clientv3.Client
	mutex *concurrency.Mutex // with a session of its own: two of one do not exclude each other
}

// onEtcd measures clients of etcd.
func (b *bench) onEtcd(ctx context.Context, clients int, lasts time.Duration,
	do func(ctx context.Context, c etcdClient, i, n int) error,
) (m measured, p50 float64, err error) {
	cs := make([]etcdClient, clients)
	for i := range cs {
		if i >= connections {
			cs[i].Client = cs[i%connections].Client
		} else {
			if cs[i].Client, err = connect(ctx, b.etcd); err != nil {
				return measured{}, 0, err
			}
			defer cs[i].Close()
		}
		s, err := concurrency.NewSession(cs[i].Client)
		if err != nil {
			return measured{}, 0, err
		}
		defer s.Close()
		cs[i].mutex = concurrency.NewMutex(s, "/bench/mutex")
	}
	m, p50, _, err = load(ctx, clients, lasts, func(ctx context.Context, i, n int) error { return do(ctx, cs[i], i, n) })
	return m, p50, err
}

// put puts a record under a key of its own, as dlm bench does.
func put(ctx context.Context, c etcdClient, i, n int) error {
	_, err := c.Put(ctx, fmt.Sprintf("/bench/puts/%d/%016x", i, n), string(record(i, n)))
	return err
}

func mutexed(ctx context.Context, c etcdClient, i, n int) error {
	if err := c.mutex.Lock(ctx); err != nil {
		return err
	}
	_, err := c.Put(ctx, fmt.Sprintf("/bench/mutexed/%d/%016x", i, n), string(record(i, n)))
	return errors.Join(err, c.mutex.Unlock(ctx))
}

// transacted puts a record, and the number of the last one if that still is the one before, as
// etcd's software transactional memory does it: what is read is compared when it is written.
func transacted(ctx context.Context, c etcdClient, i, n int) error {
	last := fmt.Sprintf("/bench/transacted/%d", i)
	_, err := concurrency.NewSTM(c.Client, func(stm concurrency.STM) error {
		if was := stm.Get(last); n > 0 && was != fmt.Sprint(n-1) {
			return fmt.Errorf("the last record is %q; want %d", was, n-1)
		}
		stm.Put(last, fmt.Sprint(n))
		stm.Put(fmt.Sprintf("%s/%016x", last, n), string(record(i, n)))
		return nil
	}, concurrency.WithAbortContext(ctx))
	return err
}

// processes measures the commands, in turn: their median wall time.
func (b *bench) processes(ctx context.Context) (map[string]measured, error) {
	beside := []string{b.etcdctl, "put", "--endpoints", b.etcd, "/bench/process", "hello"}
	took := map[string][]time.Duration{}
	for i := range 2 * b.runs {
		name, argv := ours, []string{b.bin, "append", "--endpoints", b.dlm, "x", "f", "hello"}
		if i%2 == 1 {
			name, argv = theirs, beside
		}
		began := time.Now()
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%q: %w\n%s", argv, err, out)
		}
		took[name] = append(took[name], time.Since(began))
	}
	c, err := client.New(b.dlm)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	data, err := c.Read(ctx, "x", "f")
	if want := strings.Repeat("hello\n", b.runs); err != nil || string(data) != want {
		return nil, fmt.Errorf("dlm append: %q, %w, want %q", data, err, want)
	}
	return map[string]measured{
		ours: {value: median(took[ours], milliseconds)}, theirs: {value: median(took[theirs], milliseconds)},
	}, nil
}
