package main_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/internal/dial"
)

// A health check asks the server where its configuration says that it listens, whatever the
// environment of clients says, and though a file that it names is not there at the moment.
func TestHealthFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dlm.yaml")
	text := "listen: 127.0.0.1:1\netcd: {endpoints: [e:1], username: u, password-file: /no/such}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(endpoint, ":")
	for listen, want := range map[string]int{
		"DLM_LISTEN=" + endpoint: 0, "DLM_LISTEN=:" + port: 0, "DLM_LISTEN=0.0.0.0:" + port: 0, "DLM_LISTEN=[::]:" + port: 0,
		"DLM_DRAIN=1s": 69, "DLM_LISTEN=": 78, "DLM_LISTEN=:0": 78,
	} {
		cmd := command(t, "127.0.0.1:2", dlmPath, "health", "--config", file)
		cmd.Env = append(cmd.Env, listen)
		if r := run(t, cmd); r.code != want || !strings.Contains(r.err, "/no/such") {
			t.Errorf("with %s: exit code %d, want %d\n%s%s", listen, r.code, want, r.out, r.err)
		}
	}
	if r := run(t, command(t, "", dlmPath, "health", "--config", "")); r.code != 64 {
		t.Errorf("without a file's name: exit code %d, want 64\n%s", r.code, r.err)
	}
}

// The coursework's service has a health while it is served, and only then.
func TestHealthOfTheCoursework(t *testing.T) {
	t.Parallel()
	for lock, want := range map[string]codes.Code{"default": codes.OK, "": codes.NotFound} {
		s := ownServer(t, "--coursework-lock", lock)
		conn, err := dial.Config{}.Server(s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: "lock_service.LockService"})
		if status.Code(err) != want || err == nil && answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("with the lock %q: %v, %v, want %v", lock, answer.GetStatus(), err, want)
		}
	}
}
