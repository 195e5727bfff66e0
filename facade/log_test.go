package facade_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

func TestOneLogLineACall(t *testing.T) {
	tests := []struct {
		name string
		err  error
		req  *dlmv1.AppendRequest
		want map[string]any
	}{
		{
			"success", nil,
			&dlmv1.AppendRequest{Session: credential, Lock: "orders", Token: 7, Request: "3"},
			map[string]any{
				"level": "DEBUG", "msg": "call", "method": "Append", "code": "OK", "session": "0123456789abcdef",
				"lock": "orders", "token": 7.0, "request": "3",
			},
		},
		{
			"lost lock", etcdstore.ErrLockExpired,
			&dlmv1.AppendRequest{Session: credential, Lock: "orders"},
			map[string]any{"level": "WARN", "code": "LOCK_EXPIRED"},
		},
		{"lost session", etcdstore.ErrSessionExpired, &dlmv1.AppendRequest{}, map[string]any{"level": "WARN"}},
		{"unknown outcome", etcdstore.ErrOutcomeUnknown, &dlmv1.AppendRequest{}, map[string]any{"level": "WARN"}},
		{"lost record", etcdstore.ErrDataLoss, &dlmv1.AppendRequest{}, map[string]any{"level": "ERROR", "code": "DATA_LOSS"}},
		{"refusal", etcdstore.ErrQuota, &dlmv1.AppendRequest{}, map[string]any{"level": "DEBUG", "code": "QUOTA"}},
		{
			"internal", errors.New("odd"),
			&dlmv1.AppendRequest{}, map[string]any{"level": "ERROR", "code": "INTERNAL"},
		},
		{
			"long and strange names", nil,
			&dlmv1.AppendRequest{Session: "topsecret", Lock: strings.Repeat("a", 100), Request: "a\nlevel=ERROR\u202e"},
			map[string]any{"session": "", "lock": strings.Repeat("a", 64), "request": `"a\nlevel=ERROR\u202e"`},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			server, conn := serve(t, scripted{do: func(context.Context, string) error { return test.err }}, logger)
			mux := openMux(t, conn)
			for _, conn := range []grpc.ClientConnInterface{conn, mux} {
				_, err := dlmv1.NewLockServiceClient(conn).Append(storetest.Bounded(t), test.req)
				if (err != nil) != (test.err != nil) {
					t.Fatalf("got %v", err)
				}
			}
			if err := server.Shutdown(storetest.Bounded(t)); err != nil {
				t.Fatal(err)
			}
			var seen int
			for line := range strings.Lines(log.String()) {
				var got map[string]any
				if err := json.Unmarshal([]byte(line), &got); err != nil {
					t.Fatal(err)
				}
				if got["method"] != "Append" {
					continue
				}
				seen++
				if _, ok := got["took"]; !ok {
					t.Errorf("no took in %s", line)
				}
				for key, want := range test.want {
					if got[key] != want {
						t.Errorf("%s = %v, want %v in %s", key, got[key], want, line)
					}
				}
			}
			if seen != 2 {
				t.Errorf("%d lines for 2 calls: %s", seen, &log)
			}
			if strings.Contains(log.String(), "topsecret") {
				t.Errorf("the log has a secret: %s", &log)
			}
		})
	}
}
