package client_test

import (
	"context"
	"fmt"
	"log"

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
