package main

import (
	"context"
	"fmt"
	"time"
)

// flood is one way to hurt a server.
type flood struct {
	name   string
	says   string        // what it does
	short  bool          // it is part of the short form
	files  int           // how many descriptors the server may have; 0: as many as this process
	after  time.Duration // how long what it did goes on by itself, during which the honest client counts
	least  time.Duration // how long it lasts at least, but in the short form
	bar    float64       // how many times the control's p50 the honest client's may be
	same   bool          // the control is the same server, before and after: the flood itself does nothing
	stores int64         // bytes that etcd may have in memory besides, of what it writes and keeps in its log
	death  bool          // an honest holder is killed at its end

	// prepare does what is to be there before, and returns what floods until its ctx ends.
	prepare func(ctx context.Context, f *flooder) (func(ctx context.Context) error, error)
}

// Bars of the honest client's p50, in the control's.
const (
	factor      = 3
	quietFactor = 1.1
	// Whoever commits waits for the disk, which takes a hundred times as long for a megabyte.
	diskFactor = 300
)

// purge is how long etcd needs until it has looked for files to remove, and ends its process if it
// cannot.
const purge = 35 * time.Second

// The order is that of what they aim at: memory, the store, watchers, connections, frames.
func floods() []flood {
	list := []flood{
		{name: "bombs", says: "gzipped heartbeats of 16 KB that become 8.4 million messages", short: true, prepare: bombs},
		{name: "bombs-stream", says: "the same, as messages of a stream", prepare: bombsInStream},
		{name: "heartbeats", says: "heartbeats of 15 MiB in 7.8 million empty messages", prepare: heartbeats},
		{name: "heartbeats-stream", says: "the same, as messages of a stream", prepare: heartbeatsInStream},
		{name: "unfinished", says: "128 appends of 15 MiB on one connection, the last byte never sent", short: true, prepare: unfinished(1, 128)},
		{name: "unfinished-wide", says: "50 connections with 3 such appends each", prepare: unfinished(50, 3)},
		{name: "slow", says: "500 appends on 10 connections, a byte a second", prepare: slow},
		{name: "unread", says: "1,000 reads of 1 MiB with a window of 0", short: true, prepare: unreadReads},
		{name: "unread-stream", says: "4 streams with 1,000 such reads each", prepare: unreadInStream},
		{name: "unread-tails", says: "200 tails of 1 MiB with a window of 0", prepare: unreadTails},
		{name: "unread-watches", says: "200 watches with a window of 0, under traffic", prepare: unreadWatches},

		{name: "sessions", says: "up to 20,000 sessions with a TTL of 2 s, never renewed", short: true, least: 45 * time.Second, after: 6 * time.Second, death: true, prepare: sessions},
		{name: "cancels", says: "cancels of locks that do not exist, as many as 4 streams take", short: true, prepare: cancels},
		{name: "unread-inspects", says: "20,000 inspects on a stream with a window of 0", prepare: unreadInspects},
		{name: "timeouts", says: "40,000 waits that end together", after: 2 * time.Second, prepare: timeouts},
		{name: "inspects", says: "inspects of a lock with 10,000 waiters", short: true, prepare: inspects},
		{name: "locks", says: "50,000 locks taken and not given back", prepare: locks},
		{name: "lists", says: "lists of all locks while 10,000 are held", prepare: lists},
		{name: "records", says: "records of 1 MiB in 8 sections that do not end", bar: diskFactor, stores: 64 * mebibyte, prepare: records},
		{name: "tokens", says: "wrong credentials and tokens", short: true, prepare: tokens},
		{name: "coursework-clients", says: "clients of the coursework's API, never heard of again", prepare: courseworkClients},
		{name: "coursework-appends", says: "its appends, of 15 MiB", prepare: courseworkAppends},

		{name: "quiet-watchers", says: "1,000 watchers of a prefix in which nothing happens", bar: quietFactor, same: true, prepare: watchers(1000, "quiet/")},
		{name: "watchers", says: "200 watchers of the busy prefix, that read", short: true, prepare: watchers(200, honestPrefix)},
		{name: "many-watchers", says: "1,000 of them", prepare: watchers(1000, honestPrefix)},
		{name: "cut-watchers", says: "200 watchers and 500 tails, cut off, again and again", short: true, prepare: cutWatchers},
		{name: "health-watches", says: "10,000 watches of the server's health", prepare: healthWatches},

		{name: "descriptors", says: "320 idle connections, where the server may have 300 descriptors", least: purge, files: 300, prepare: idle(320)},
		{name: "connections", says: "2,000 idle connections", short: true, prepare: idle(2000)},
		{name: "garbage", says: "connections with random bytes, or with nothing", prepare: garbage},

		{name: "resets", says: "calls that are reset at once", short: true, prepare: resets},
		{name: "settings", says: "SETTINGS frames", prepare: settingsFrames},
		{name: "pings", says: "PING frames", prepare: pingFrames},
		{name: "continuations", says: "headers that go on for ever", prepare: continuations},
		{name: "headers", says: "calls with 15 KB of headers", prepare: headers},
		{name: "disorder", says: "frames in an order that is none", prepare: disorder},
		{name: "undecodable", says: "messages that are none, as calls and on a stream", short: true, prepare: undecodable},
	}
	for i := range list {
		if list[i].bar == 0 {
			list[i].bar = factor
		}
	}
	return list
}

func floodNamed(name string) (flood, error) {
	for _, f := range floods() {
		if f.name == name {
			return f, nil
		}
	}
	return flood{}, fmt.Errorf("no flood %q", name)
}
