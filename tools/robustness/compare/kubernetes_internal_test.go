package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// leases is an API server that knows one Lease.
type leases struct {
	mu      sync.Mutex
	version int
	lease   map[string]any // nil: there is none
}

func (s *leases) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(code int, reason string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason})
	}
	if r.Method != http.MethodGet {
		var lease map[string]any
		if err := json.NewDecoder(r.Body).Decode(&lease); err != nil {
			refuse(http.StatusBadRequest, "BadRequest")
			return
		}
		given, _ := lease["metadata"].(map[string]any)
		if s.lease != nil && given["resourceVersion"] != s.lease["metadata"].(map[string]any)["resourceVersion"] {
			refuse(http.StatusConflict, "Conflict")
			return
		}
		s.version++
		given["resourceVersion"] = strings.Repeat("1", s.version)
		s.lease = lease
	}
	if s.lease == nil {
		refuse(http.StatusNotFound, "NotFound")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.lease)
}

func TestTransitionsRiseWithEachHold(t *testing.T) {
	server := httptest.NewTLSServer(&leases{})
	defer server.Close()
	var lockers [2]*leaseLocker
	for i := range lockers {
		config := kubeConfig(server.Listener.Addr().String())
		config.ContentType = "application/json"
		lockers[i] = &leaseLocker{config, "lock", true}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	for i, want := range []int64{1, 2, 3, 4} {
		h, err := lockers[i/2].acquire(ctx) // its own, and another's
		if err != nil {
			t.Fatal(err)
		}
		if got := h.token(); got != want {
			t.Errorf("hold %d: token %d, want %d", i, got, want)
		}
		if _, err := lockers[0].transitions(ctx, "somebody else"); !errors.Is(err, errNotHeld) {
			t.Errorf("the token of a hold that is not one's own: %v", err)
		}
		if err := errors.Join(h.lost(), h.release(ctx)); err != nil {
			t.Errorf("hold %d: %v", i, err)
		}
		if h.lost() == nil {
			t.Errorf("hold %d is not lost once it is released", i)
		}
	}
}
