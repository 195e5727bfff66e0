package client_test

import (
	"testing"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade"
)

// What the client has to know of the servers and may not import is as they have it.
func TestLimitsFitTheServers(t *testing.T) {
	if client.DefaultTTL != etcdstore.DefaultTTL {
		t.Errorf("the default TTL is %v, that of the servers %v", client.DefaultTTL, etcdstore.DefaultTTL)
	}
	if client.MinTTL != etcdstore.MinTTL || client.MaxTTL != etcdstore.MaxTTL {
		t.Errorf("a TTL is %v to %v, with the servers %v to %v", client.MinTTL, client.MaxTTL, etcdstore.MinTTL, etcdstore.MaxTTL)
	}
	if listen := config.Default().Listen; client.DefaultEndpoint != listen {
		t.Errorf("the default endpoint is %s, that of the servers %s", client.DefaultEndpoint, listen)
	}
	if client.MaxLabel != etcdstore.MaxLabel {
		t.Errorf("a label has %d bytes at most, with the servers %d", client.MaxLabel, etcdstore.MaxLabel)
	}
	if client.MaxPiece != etcdstore.MaxRead {
		t.Errorf("a piece of a file has %d bytes, with the servers %d", client.MaxPiece, etcdstore.MaxRead)
	}
	if client.SessionRoom > etcdstore.MaxUnfinished {
		t.Errorf("a heartbeat names up to %d acquisitions, it may name %d", client.SessionRoom, etcdstore.MaxUnfinished)
	}
	if client.MaxLast > etcdstore.MaxLast {
		t.Errorf("an ending names up to %d appends, it may name %d", client.MaxLast, etcdstore.MaxLast)
	}
	// A record that is too large has to reach a server, which says so, rather than be refused as a
	// message.
	if client.MaxMessage > facade.MaxMessage || client.MaxMessage < 2*etcdstore.MaxRecord {
		t.Errorf("a call has %d bytes at most: a message may have %d, a record %d",
			client.MaxMessage, facade.MaxMessage, etcdstore.MaxRecord)
	}
}
