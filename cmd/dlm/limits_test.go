package main_test

import (
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
)

// Package config knows nothing of the rest, so that it has to say for itself what the store takes,
// and what is taken where nothing is configured.
func TestConfigurationIsThatOfTheStore(t *testing.T) {
	t.Parallel()
	def := config.Default()
	if def.Etcd.Prefix != etcdstore.DefaultPrefix {
		t.Errorf("the default prefix is %s, that of the store %s", def.Etcd.Prefix, etcdstore.DefaultPrefix)
	}
	if def.Cluster.Quota != embedded.DefaultQuota {
		t.Errorf("the default quota is %d, that of the embedded etcd %d", def.Cluster.Quota, embedded.DefaultQuota)
	}
	if def.Listen != client.DefaultEndpoint {
		t.Errorf("a server listens on %s, and clients look for it at %s", def.Listen, client.DefaultEndpoint)
	}
	for _, c := range []struct {
		key         string
		least, most time.Duration
		set         func(*config.Coursework, time.Duration)
	}{
		{"coursework.ttl", etcdstore.MinTTL, etcdstore.MaxTTL, func(c *config.Coursework, d time.Duration) { c.TTL = d }},
		{"coursework.hold", etcdstore.MinHold, etcdstore.MaxHold, func(c *config.Coursework, d time.Duration) { c.Hold = d }},
	} {
		for d, good := range map[time.Duration]bool{c.least - 1: false, c.least: true, c.most: true, c.most + 1: false} {
			cfg := def
			c.set(&cfg.Coursework, d)
			if err := cfg.Validate(); (err == nil) != good {
				t.Errorf("%s of %v: %v; the store takes %v to %v", c.key, d, err, c.least, c.most)
			}
		}
	}
}
