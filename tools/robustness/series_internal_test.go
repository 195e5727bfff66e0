package main

import (
	"bytes"
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseSeeds(t *testing.T) {
	t.Parallel()
	for list, want := range map[string][]uint64{
		"7": {7}, "1,4,10-12": {1, 4, 10, 11, 12}, "": nil, "a": nil, "3-1": nil, "1-": nil, "1-9999999": nil, "-1": nil,
	} {
		got, err := parseSeeds(list)
		if !reflect.DeepEqual(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %v, %v; want %v", list, got, err, want)
		}
	}
}

// A series goes on behind what its file has, and sums all of it.
func TestSeriesGoesOn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "results")
	for _, layout := range layouts() {
		err := keepResult(file, result{
			Layout: layout, Seed: 1, Last: time.Minute.String(), Judged: 100, Sections: 10,
			Faults: map[string]int{"worker killed": 2}, Answers: map[string]int{"append OK": 70, "append LOCK_EXPIRED": 30},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	o := options{seeds: "1", last: time.Minute, results: file, out: &out}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nothing is to be run
	if code := o.series(ctx); code != 0 {
		t.Fatalf("exit code %d\n%s", code, &out)
	}
	for _, want := range []string{
		"3 runs", "     6 worker killed", "   210 append OK", "210 acknowledged, 90 refused as late, 300 answers judged, 30 sections, 0 untrue, so fewer than 0.01 of them",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant it to say %q", &out, want)
		}
	}
}
