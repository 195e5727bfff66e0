package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

func ExampleClient_Lock() {
	ctx := context.Background()
	c, err := client.New(endpoint) // host:port of one or more servers
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	l, err := c.Lock(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Discard(ctx) // frees the lock on an early return; changes nothing after Unlock

	// l.Context() ends before anybody else can get the lock; l.Token() fences off other systems.
	if err := l.Append(l.Context(), "audit.log", []byte("shipped 17\n")); err != nil {
		log.Fatal(err)
	}
	if err := l.Unlock(ctx); err != nil { // publishes what was appended, all at once
		log.Fatal(err)
	}

	b, err := c.Read(ctx, "orders", "audit.log")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(b))
	// Output: shipped 17
}

func ExampleClient_Do() {
	ctx := context.Background()
	c, err := client.New(endpoint)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	err = c.Do(ctx, "accounts", func(ctx context.Context, l *client.Lock) error {
		if err := l.Append(ctx, "alice", []byte("-5\n")); err != nil {
			return err
		}
		return l.Append(ctx, "bob", []byte("+5\n"))
	})
	fmt.Println("published:", err == nil)

	err = c.Do(ctx, "accounts", func(ctx context.Context, l *client.Lock) error {
		if err := l.Append(ctx, "alice", []byte("-1000000\n")); err != nil {
			return err
		}
		return fmt.Errorf("not enough money")
	})
	fmt.Println("discarded:", err)

	b, err := c.Read(ctx, "accounts", "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(b))
	// Output:
	// published: true
	// discarded: not enough money
	// -5
}

func ExampleClient_Tail() {
	ctx := context.Background()
	c, err := client.New(endpoint)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	err = c.Do(ctx, "sensors", func(ctx context.Context, l *client.Lock) error {
		return l.Append(ctx, "readings", []byte("21.5\n"))
	})
	if err != nil {
		log.Fatal(err)
	}
	for piece, err := range c.Tail(ctx, "sensors", "readings", 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d: %s", piece.GetOffset(), piece.GetData())
		break // it would go on for as long as sections are published
	}
	// Output: 0: 21.5
}

func ExampleClient_Watch() {
	ctx := context.Background()
	c, err := client.New(endpoint)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	l, err := c.Lock(ctx, "doors/front", client.WithLabel("the gardener"))
	if err != nil {
		log.Fatal(err)
	}
	defer l.Discard(ctx)
	for event, err := range c.Watch(ctx, "doors/") {
		if err != nil {
			log.Fatal(err)
		}
		if event.GetType() == client.EventGranted {
			fmt.Printf("%s is held by %s\n", event.GetLock(), event.GetLabel())
			break // it would go on for as long as things happen
		}
	}
	// Output: doors/front is held by the gardener
}

// Hooks are where a program's own metrics and traces attach. Package oteltrace has those of
// OpenTelemetry; these count, as a Prometheus client would.
func ExampleHooks() {
	var acquired, failed atomic.Int64
	var waited atomic.Int64 // nanoseconds
	hooks := client.Hooks{
		Call: func(_ context.Context, c client.Call) client.CallHooks {
			if c.Op != client.OpAcquire {
				return client.CallHooks{}
			}
			began := time.Now()
			return client.CallHooks{End: func(r client.Result) {
				waited.Add(int64(time.Since(began)))
				if r.Err != nil {
					failed.Add(1)
				} else {
					acquired.Add(1)
				}
			}}
		},
		Lost: func(_ context.Context, l client.Loss) { log.Printf("lost %s: %v", l.Lock, l.Err) },
	}
	ctx := context.Background()
	c, err := client.Open(client.Config{Endpoints: []string{endpoint}, Hooks: hooks})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	l, err := c.Lock(ctx, "counted")
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.TryLock(ctx, "counted")
	fmt.Println("busy:", errors.Is(err, client.ErrBusy))
	if err := l.Unlock(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("acquired:", acquired.Load(), "failed:", failed.Load(), "waited:", waited.Load() > 0)
	// Output:
	// busy: true
	// acquired: 1 failed: 1 waited: true
}
