package main

import (
	"log/slog"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade"
)

// keptFiles is how many descriptors are kept for all but the clients' connections: etcd's files and
// peers above all. Etcd ends the process when it gets none.
const keptFiles = 128

// connectionsFor is how many connections there may be, of as many as are wanted, in a process that
// may open so many files: at least one.
func connectionsFor(wanted int, files uint64) int {
	if files > uint64(wanted)+keptFiles { //nolint:gosec // positive: the configuration was checked
		return wanted
	}
	return max(1, int(files)-min(keptFiles, int(files)/2)) //nolint:gosec // less than wanted and some more
}

// facadeLimits are the limits that the facade keeps. Fewer connections than wanted are warned
// about.
func facadeLimits(l config.Limits, log *slog.Logger) facade.Limits {
	connections := l.Connections
	if files, ok := maxFiles(); ok {
		if connections = connectionsFor(l.Connections, files); connections < l.Connections {
			log.Warn("fewer connections than configured: this process may not open as many files (ulimit -n, LimitNOFILE)",
				"files", files, "connections", connections, "configured", l.Connections)
		}
	}
	return facade.Limits{
		Connections: connections, ConnectionsPerAddress: l.ConnectionsPerAddress,
		Buffer: l.Buffer, ConnectionBuffer: l.ConnectionBuffer, Deliver: l.Deliver, Collect: l.Collect,
		Streams: l.Streams, Calls: l.Calls, Idle: l.Idle, Age: l.Age, CallRate: l.CallRate, Gzip: l.Gzip,
		SessionRate: l.SessionRate, SessionRatePerClient: l.SessionRatePerClient, SessionBurst: l.SessionBurst,
		Watches: l.Watches, WatchesPerClient: l.WatchesPerClient,
	}
}

// storeLimits are the limits that the store keeps.
func storeLimits(l config.Limits) etcdstore.Limits {
	return etcdstore.Limits{
		Sessions: l.Sessions, SessionsPerClient: l.SessionsPerClient, Acquisitions: l.Acquisitions, Waiters: l.Waiters,
	}
}
