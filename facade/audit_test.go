package facade_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/audit"
)

// Every change and every refusal is one line, and a look that was allowed is none. No credential,
// nothing that was appended is in it.
func TestAuditLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(file, os.Stderr, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := secure(t, nil, "rules: [{identity: '*', locks: [mine], allow: [acquire, append, inspect, evict]}]\n", func(cfg *facade.Config) {
		cfg.Access.Audit, cfg.Access.Server = log, "here"
	})
	client := dlmv1.NewLockServiceClient(s.as("a"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	session := "0123456789abcdef.topsecret"
	for _, err := range []error{
		second(client.Init(ctx, &dlmv1.InitRequest{})),
		second(client.Acquire(ctx, &dlmv1.AcquireRequest{Session: session, Lock: "mine", Request: "1"})),
		second(client.Append(ctx, &dlmv1.AppendRequest{Session: session, Lock: "mine", Token: 7, Request: "2", File: "f", Data: []byte("topsecret")})),
		second(client.Inspect(ctx, &dlmv1.InspectRequest{Lock: "mine"})),
		second(client.Heartbeat(ctx, &dlmv1.HeartbeatRequest{Session: session})),
		second(client.Evict(ctx, &dlmv1.EvictRequest{Lock: "mine", Token: 7, Reason: "too\u2028long"})),
		overStream(ctx, s.as("b"), &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Release{
			Release: &dlmv1.ReleaseRequest{Session: session, Lock: "mine", Token: 7},
		}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Inspect(ctx, &dlmv1.InspectRequest{Lock: "yours"}); status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
	if _, err := dlmv1.NewLockServiceClient(s.dial(nil)).Acquire(ctx, &dlmv1.AcquireRequest{Lock: "mine"}); status.Code(err) != codes.Unauthenticated {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("topsecret")) || bytes.Contains(text, []byte("\u2028")) {
		t.Errorf("what must not be is in the lines:\n%s", text)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	wants := []map[string]any{
		{"verb": "init", "identity": "spiffe:spiffe://example.org/a", "server": "here", "session": "0123456789abcdef", "outcome": "OK"},
		{"verb": "acquire", "lock": "mine", "token": 7., "request": "1", "outcome": "GRANTED", "session": "0123456789abcdef"},
		{"verb": "append", "lock": "mine", "token": 7., "request": "2", "outcome": "OK"},
		{"verb": "evict", "lock": "mine", "token": 7., "reason": "too\u2028long", "outcome": "OK"},
		{"verb": "release", "lock": "mine", "token": 7., "identity": "spiffe:spiffe://example.org/b", "outcome": "OK"},
		{"verb": "inspect", "lock": "yours", "outcome": "PERMISSION_DENIED", "identity": "spiffe:spiffe://example.org/a"},
		{"verb": "acquire", "lock": "mine", "outcome": "UNAUTHENTICATED", "identity": nil},
	}
	if len(lines) != len(wants) {
		t.Fatalf("there are %d lines, want %d:\n%s", len(lines), len(wants), text)
	}
	for i, want := range wants {
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatal(err)
		}
		for key, value := range want {
			if got[key] != value {
				t.Errorf("%s of line %d is %v, want %v:\n%s", key, i, got[key], value, lines[i])
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// What cannot be written down is not done, if that is required; what changes nothing goes on.
func TestNothingIsChangedThatIsNotWrittenDown(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full, which Linux has")
	}
	for _, required := range []bool{true, false} {
		log, err := audit.Open("/dev/full", os.Stderr, required, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		s := secure(t, nil, everything, func(cfg *facade.Config) { cfg.Access.Audit = log })
		client := dlmv1.NewLockServiceClient(s.as("a"))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		refused := 0
		for range 200 { // the first are written before it is known that they cannot be
			if _, err = client.Acquire(ctx, &dlmv1.AcquireRequest{Lock: "l", Request: "1"}); err != nil {
				refused++
				if code, reason := refusalOf(err); code != codes.Unavailable || reason != "AUDIT" || strings.Contains(err.Error(), "/dev/full") {
					t.Errorf("the refusal is %v, reason %q; want AUDIT", err, reason)
				}
			}
		}
		if (refused > 0) != required || required && err == nil {
			t.Errorf("required %v: %d of 200 are refused, the last %v", required, refused, err)
		}
		for name, err := range map[string]error{
			"a look":      second(client.Inspect(ctx, &dlmv1.InspectRequest{Lock: "l"})),
			"a heartbeat": second(client.Heartbeat(ctx, &dlmv1.HeartbeatRequest{})),
			"an end":      second(client.Close(ctx, &dlmv1.CloseRequest{})),
			"a discard":   second(client.Discard(ctx, &dlmv1.DiscardRequest{Lock: "l"})),
			"a release":   second(client.Release(ctx, &dlmv1.ReleaseRequest{Lock: "l"})),
		} {
			if err != nil {
				t.Errorf("required %v: %s: %v", required, name, err)
			}
		}
		_, err = client.Release(ctx, &dlmv1.ReleaseRequest{Lock: "l", Appended: true})
		if _, reason := refusalOf(err); (reason == "AUDIT") != required {
			t.Errorf("required %v: to publish: %v", required, err)
		}
		cancel()
	}
}
