package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

func TestArguments(t *testing.T) {
	p, err := parse(strings.Fields("--system redis --workload one --clients 16 --connections 4 --warmup 0s --duration 2s"), &bytes.Buffer{})
	if err != nil || p.system != "redis" || p.endpoint != "127.0.0.1:6379" || p.slice.Workload != load.One || p.slice.Clients != 16 || p.connections != 4 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{
		"", "--system other", "--system redis --workload append", "--system redis --clients 0", "--system redis --duration 0s",
		"--system redis --connections 0", "--system redis extra", "--unknown",
	} {
		var stderr bytes.Buffer
		if code := run(strings.Fields(bad), &bytes.Buffer{}, &stderr); code != 64 || stderr.Len() == 0 {
			t.Errorf("%q: exit code %d, %q", bad, code, stderr.String())
		}
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nowhere := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for system, endpoint := range map[string]string{"redis": nowhere, "postgres": "postgres://" + nowhere + "/postgres"} {
		var out, stderr bytes.Buffer
		args := []string{"--system", system, "--endpoint", endpoint}
		if code := run(args, &out, &stderr); code != 1 || out.Len() != 0 || !strings.Contains(stderr.String(), system) {
			t.Errorf("%s: exit code %d, %q, %q", system, code, out.String(), stderr.String())
		}
	}
	// ZooKeeper's client tries on by itself, so it is the caller who gives up.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openZooKeeper(ctx, nowhere, 1, 1); err == nil {
		t.Error("zookeeper: no error")
	}
}
