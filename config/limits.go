package config

import (
	"fmt"
	"time"
)

// Limits are what clients may take, all together and each one: what would exceed one is refused,
// with its key. A client is an identity, or a connection while nobody says who is calling.
type Limits struct {
	Connections           int
	ConnectionsPerAddress int
	Idle                  time.Duration
	Age                   time.Duration
	Streams               int
	Calls                 int
	CallRate              int

	Buffer           int64
	ConnectionBuffer int64
	Deliver          time.Duration
	Collect          time.Duration
	Gzip             bool

	SessionRate          int
	SessionRatePerClient int
	SessionBurst         int
	Sessions             int
	SessionsPerClient    int

	Acquisitions int
	Waiters      int

	Watches          int
	WatchesPerClient int
}

func defaultLimits() Limits {
	return Limits{
		Connections: 10_000, Idle: 15 * time.Minute, Streams: 1000, Calls: 8192,
		Buffer: 128 << 20, ConnectionBuffer: 64 << 20, Deliver: 10 * time.Second, Collect: 30 * time.Second,
		SessionRate: 500, SessionRatePerClient: 100, SessionBurst: 1000, Sessions: 100_000, SessionsPerClient: 20_000,
		Acquisitions: 20_000, Waiters: 50_000, Watches: 10_000, WatchesPerClient: 1000,
	}
}

const (
	maxCount  = 1_000_000
	minBuffer = 48 << 20 // a message of the largest kind, decoded and not
	maxBuffer = 64 << 30
	minSlow   = time.Second
	maxSlow   = 10 * time.Minute
)

func limitSettings() []setting {
	whole := fmt.Sprintf("1 to %d", maxCount)
	return []setting{
		{name: "limits.connections", field: func(c *Config) any { return &c.Limits.Connections },
			meaning: "How many connections the server has at once. It keeps to fewer if the process may not open as many files. One too many takes the place of one that has no call, if there is one."},
		{name: "limits.connections-per-address", field: func(c *Config) any { return &c.Limits.ConnectionsPerAddress }, unlimited: true,
			meaning: "How many of them may come from one address; 0: any number. Behind a balancer all clients have the same."},
		{name: "limits.idle", field: func(c *Config) any { return &c.Limits.Idle },
			meaning: "A connection that has had no call for so long is closed; " + bounds(minSlow, maxIdle) + ", or `0s`: never."},
		{name: "limits.age", field: func(c *Config) any { return &c.Limits.Age },
			meaning: "A connection that is so old is closed when its calls have ended, or half a minute later, so that clients spread anew; " + bounds(minAge, maxIdle) + ", or `0s`: never."},
		{name: "limits.streams", field: func(c *Config) any { return &c.Limits.Streams },
			meaning: "gRPC calls in progress on one connection, " + whole + ". A client sends further ones when others have ended. A multiplexed stream is one, with all that it carries."},
		{name: "limits.calls", field: func(c *Config) any { return &c.Limits.Calls },
			meaning: "Unanswered calls of one multiplexed stream, " + whole + ". A wait for a lock is one."},
		{name: "limits.call-rate", field: func(c *Config) any { return &c.Limits.CallRate }, unlimited: true,
			meaning: "Calls a second of one client, and as many at once; 0: any number. Those that give back, heartbeats and releases, do not count."},
		{name: "limits.buffer", field: func(c *Config) any { return &c.Limits.Buffer },
			meaning: "Bytes that are kept for all connections together: requests that have not come to their end or are being served, and answers that are not read; `" + FormatSize(minBuffer) + "` to `" + FormatSize(maxBuffer) + "`. Calls are refused from half of it on, connections closed from three quarters on."},
		{name: "limits.connection-buffer", field: func(c *Config) any { return &c.Limits.ConnectionBuffer },
			meaning: "Bytes that are kept for one connection, not more than `limits.buffer`. Its calls are refused from three quarters on, and what comes nevertheless closes it."},
		{name: "limits.deliver", field: func(c *Config) any { return &c.Limits.Deliver },
			meaning: "How long a request may take to come, and a second more for every 64 KiB of it; " + bounds(minSlow, maxSlow) + ". Then its connection is closed."},
		{name: "limits.collect", field: func(c *Config) any { return &c.Limits.Collect },
			meaning: "How long an answer may take to be read, and a second more for every 64 KiB of it; " + bounds(minSlow, maxSlow) + ". Then its connection is closed."},
		{name: "limits.gzip", field: func(c *Config) any { return &c.Limits.Gzip },
			meaning: "`true`: requests may be compressed. They are taken apart before anything is known of them, so that few bytes cost many."},
		{name: "limits.session-rate", field: func(c *Config) any { return &c.Limits.SessionRate },
			meaning: "New sessions a second, of all clients, " + whole + "."},
		{name: "limits.session-rate-per-client", field: func(c *Config) any { return &c.Limits.SessionRatePerClient },
			meaning: "New sessions a second of one client, " + whole + "."},
		{name: "limits.session-burst", field: func(c *Config) any { return &c.Limits.SessionBurst },
			meaning: "How many of either may come at once, " + whole + "."},
		{name: "limits.sessions", field: func(c *Config) any { return &c.Limits.Sessions },
			meaning: "Sessions that live, of all servers' clients, " + whole + "."},
		{name: "limits.sessions-per-client", field: func(c *Config) any { return &c.Limits.SessionsPerClient },
			meaning: "Sessions that live, of those that one client has begun here, " + whole + "."},
		{name: "limits.acquisitions", field: func(c *Config) any { return &c.Limits.Acquisitions },
			meaning: "What one session holds and waits for, " + whole + "."},
		{name: "limits.waiters", field: func(c *Config) any { return &c.Limits.Waiters },
			meaning: "How many wait for one lock, " + whole + "."},
		{name: "limits.watches", field: func(c *Config) any { return &c.Limits.Watches },
			meaning: "Watches and tails, of all clients, " + whole + "."},
		{name: "limits.watches-per-client", field: func(c *Config) any { return &c.Limits.WatchesPerClient },
			meaning: "Watches and tails of one client, " + whole + "."},
	}
}

const (
	maxIdle = 24 * time.Hour
	minAge  = time.Minute
)

func (l Limits) validate(f *faults) {
	cfg := Config{Limits: l}
	for _, s := range limitSettings() {
		if n, is := s.field(&cfg).(*int); is {
			least := 1
			if s.unlimited {
				least = 0
			}
			f.check(*n >= least && *n <= maxCount, s.name, *n, fmt.Sprintf("%d to %d", least, maxCount))
		}
	}
	if l.Idle != 0 {
		f.between("limits.idle", l.Idle, minSlow, maxIdle)
	}
	if l.Age != 0 {
		f.between("limits.age", l.Age, minAge, maxIdle)
	}
	f.between("limits.deliver", l.Deliver, minSlow, maxSlow)
	f.between("limits.collect", l.Collect, minSlow, maxSlow)
	f.check(l.Buffer >= minBuffer && l.Buffer <= maxBuffer, "limits.buffer", FormatSize(l.Buffer), FormatSize(minBuffer)+" to "+FormatSize(maxBuffer))
	f.check(l.ConnectionBuffer >= minBuffer && l.ConnectionBuffer <= l.Buffer, "limits.connection-buffer", FormatSize(l.ConnectionBuffer),
		FormatSize(minBuffer)+" to limits.buffer, "+FormatSize(l.Buffer))
}
