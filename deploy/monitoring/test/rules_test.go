// Package test has Prometheus itself read the alerts and the dashboard, and evaluate the alerts. It
// is a module of its own because nothing else here needs Prometheus.
package test

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// load returns the alerts by name, as Prometheus reads them: a field that it does not know is an
// error, and so is a template that does not parse.
func load(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.Parse(read(t, "alerts.yaml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}), promslog.NewNopLogger())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	all := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			all[rule.Alert] = rule
		}
	}
	return all
}

// Grafana puts in the variables before Prometheus sees an expression.
func TestDashboardIsPromQL(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	put := strings.NewReplacer("$__rate_interval", "1m", "$namespace", ".*", "$job", ".*")
	n := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			n++
			expr := put.Replace(target.Expr)
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(expr); err != nil || strings.Contains(expr, "$") {
				t.Errorf("%s: %v\n%s", panel.Title, err, expr)
			}
		}
	}
	if n < 20 {
		t.Errorf("%d queries", n)
	}
}

// What each alert is tried with: series, minute by minute from the beginning, with which it is on
// at a given time, and ones with which it never is in all of that time.
var cases = map[string]struct {
	on, off string
	at      time.Duration
	says    string // in the description
}{
	"DlmAbsent": {on: `other 1x20`, off: `dlm_build_info{job="dlm"} 1x20`, at: 10 * time.Minute},
	"DlmNoQuorum": {
		on:  `dlm_quorum{job="dlm", instance="a"} 0x20` + "\n" + `dlm_quorum{job="dlm", instance="b"} 0x20`,
		off: `dlm_quorum{job="dlm", instance="a"} 0x20` + "\n" + `dlm_quorum{job="dlm", instance="b"} 1x20`, // cut off alone
		at:  5 * time.Minute, says: "dlm",
	},
	"DlmServerDown": {
		on:  `up{job="dlm", instance="a"} 0x20` + "\n" + `up{job="dlm", instance="b"} 1x20` + "\n" + `dlm_build_info{job="dlm", instance="b"} 1x20`,
		off: `up{job="dlm", instance="a"} 1x20` + "\n" + `up{job="other", instance="c"} 0x20` + "\n" + `dlm_build_info{job="dlm", instance="b"} 1x20`,
		at:  10 * time.Minute, says: "a does not answer",
	},
	"DlmNotServing": {on: `dlm_serving{job="dlm", instance="a"} 0x20`, off: `dlm_serving{job="dlm", instance="a"} 0 0 0 1x20`, at: 10 * time.Minute, says: "a runs"},
	"DlmRevisionWentBack": {
		on: `dlm_revision{job="dlm", instance="a"} 500+10x10 100x15`,
		// A server that has just begun, beside one that knows more.
		off: `dlm_revision{job="dlm", instance="a"} 500+10x25` + "\n" + `dlm_revision{job="dlm", instance="b"} 500+10x5 0x5 600+10x10`,
		at:  18 * time.Minute,
	},
	"DlmSpaceLow":            {on: `dlm_space_ratio{job="dlm"} 0.75x30`, off: `dlm_space_ratio{job="dlm"} 0.69x30`, at: 15 * time.Minute, says: "75%"},
	"DlmSpaceExhausted":      {on: `dlm_space_alarm{job="dlm"} 1x30`, off: `dlm_space_ratio{job="dlm"} 0.79x30` + "\n" + `dlm_space_alarm{job="dlm"} 0x30`, at: 5 * time.Minute},
	"DlmCertificateExpiring": {on: `dlm_certificate_expiry_timestamp_seconds{job="dlm", use="peer"} 300000x100`, off: `dlm_certificate_expiry_timestamp_seconds{job="dlm", use="peer"} 600000x100`, at: 90 * time.Minute, says: "for peer ends in 3d 9h"},
	"DlmFilesStale":          {on: `dlm_files_stale{job="dlm", instance="a", of="policy"} 1x30`, off: `dlm_files_stale{job="dlm", instance="a", of="policy"} 1x10 0x20`, at: 20 * time.Minute, says: "policy"},
	"DlmFault": {
		on:  `dlm_calls_total{job="dlm", instance="a", method="Append", code="DataLoss"} 0x5 3x20`,
		off: `dlm_calls_total{job="dlm", instance="a", method="Append", code="OK"} 0+100x25` + "\n" + `dlm_malformed_keys{job="dlm", instance="a"} 0x25` + "\n" + `dlm_background_panics_total{job="dlm", instance="a"} 2x25`,
		at:  10 * time.Minute,
	},
	"DlmBackupTooOld": {
		on:  `kube_cronjob_status_last_successful_time{namespace="n", cronjob="dlm-backup-monday"} 0x4320` + "\n" + `kube_cronjob_status_last_successful_time{namespace="n", cronjob="other"} 259200x4320`,
		off: `kube_cronjob_status_last_successful_time{namespace="n", cronjob="dlm-backup-monday"} 0x4320` + "\n" + `kube_cronjob_status_last_successful_time{namespace="n", cronjob="dlm-backup-tuesday"} 100000x4320`,
		at:  51 * time.Hour, says: "2d 3h",
	},
	"DlmWaitTooLong": {on: `dlm_oldest_wait_seconds{job="dlm", prefix="jobs"} 4000x30`, off: `dlm_oldest_wait_seconds{job="dlm", prefix="jobs"} 3500x30`, at: 10 * time.Minute, says: ", below jobs."},
	"DlmHoldTooLong": {on: `dlm_oldest_hold_seconds{job="dlm", prefix=""} 90000x30`, off: `dlm_oldest_hold_seconds{job="dlm", prefix=""} 80000x30`, at: 10 * time.Minute, says: "1d 1h 0m 0s. Is"},
	"DlmSilentHolders": {
		on:  `dlm_silent_holders{job="dlm", instance="a"} 3x30` + "\n" + `dlm_silent_holders{job="dlm", instance="b"} 3x30`,
		off: `dlm_silent_holders{job="dlm", instance="a"} 2x30` + "\n" + `dlm_silent_holders{job="dlm", instance="b"} 3x30`,
		at:  5 * time.Minute, says: "6 sessions",
	},
	"DlmLosses":        {on: `dlm_losses_total{job="dlm", reason="expired"} 0+12x40`, off: `dlm_losses_total{job="dlm", reason="expired"} 0+3x40` + "\n" + `dlm_losses_total{job="dlm", reason="closed"} 0+600x40`, at: 30 * time.Minute, says: "0.2 holds"},
	"DlmStaleCalls":    {on: `dlm_refused_stale_total{job="dlm", reason="LOCK_EXPIRED"} 0+12x40`, off: `dlm_refused_stale_total{job="dlm", reason="LOCK_EXPIRED"} 0+3x40`, at: 30 * time.Minute},
	"DlmLimitRefusals": {on: `dlm_limit_refusals_total{job="dlm", limit="sessions"} 0+120x40`, off: `dlm_limit_refusals_total{job="dlm", limit="sessions"} 0+30x40`, at: 30 * time.Minute, says: "the limit sessions"},
	"DlmAuthRefusals":  {on: `dlm_auth_refusals_total{job="dlm", reason="UNAUTHENTICATED"} 0+120x40`, off: `dlm_auth_refusals_total{job="dlm", reason="UNAUTHENTICATED"} 0+30x40`, at: 30 * time.Minute, says: "UNAUTHENTICATED"},
	"DlmSlowCommits": {
		on:  `dlm_commit_seconds_bucket{job="dlm", le="0.1"} 0+90x40` + "\n" + `dlm_commit_seconds_bucket{job="dlm", le="1"} 0+100x40` + "\n" + `dlm_commit_seconds_bucket{job="dlm", le="+Inf"} 0+100x40`,
		off: `dlm_commit_seconds_bucket{job="dlm", le="0.1"} 0+100x40` + "\n" + `dlm_commit_seconds_bucket{job="dlm", le="1"} 0+100x40` + "\n" + `dlm_commit_seconds_bucket{job="dlm", le="+Inf"} 0+100x40`,
		at:  30 * time.Minute,
	},
	"DlmMirrorLag":   {on: `dlm_mirror_lag_revisions{job="dlm", instance="a"} 6000x20`, off: `dlm_mirror_lag_revisions{job="dlm", instance="a"} 6000 0 6000 0 6000 0x20`, at: 10 * time.Minute},
	"DlmFoldsBehind": {on: `dlm_folds_pending{job="dlm", instance="a"} 600x40` + "\n" + `dlm_sweeps_pending{job="dlm", instance="a"} 500x40`, off: `dlm_folds_pending{job="dlm", instance="a"} 600x40` + "\n" + `dlm_sweeps_pending{job="dlm", instance="a"} 0x40`, at: 30 * time.Minute, says: "1100 sections"},
}

func TestAlertsFire(t *testing.T) {
	all := load(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		tried, ok := cases[name]
		if !ok {
			t.Errorf("%s is not tried", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if firing, _ := evaluate(t, all[name], tried.off, tried.at); firing {
				t.Error("it is on without a reason")
			}
			firing, description := evaluate(t, all[name], tried.on, tried.at)
			if !firing {
				t.Error("it is not on")
			}
			if !strings.Contains(description, tried.says) || regexp.MustCompile(`<no value>|error expanding|%!`).MatchString(description) {
				t.Errorf("it says %q, want %q", description, tried.says)
			}
		})
	}
	for name := range cases {
		if _, ok := all[name]; !ok {
			t.Errorf("there is no alert %s", name)
		}
	}
}

// evaluate has Prometheus evaluate an alert every minute until the given time. It returns whether
// it was on at the end, or, if it is not then, at any time before; and what it said.
func evaluate(t *testing.T, of rulefmt.Rule, series string, until time.Duration) (firing bool, description string) {
	t.Helper()
	input := "load 1m\n"
	for line := range strings.Lines(series) {
		input += "  " + strings.TrimSpace(line) + "\n"
	}
	storage := promqltest.LoadedStorage(t, input)
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 50_000_000)
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(of.Expr)
	if err != nil {
		t.Fatal(err)
	}
	rule := rules.NewAlertingRule(of.Alert, expr, time.Duration(of.For), time.Duration(of.KeepFiringFor), labels.FromMap(of.Labels), labels.FromMap(of.Annotations), labels.EmptyLabels(), "", true, promslog.NewNopLogger())
	query := rules.EngineQueryFunc(engine, storage)
	step := time.Minute
	if until > 24*time.Hour {
		step = 10 * time.Minute
	}
	for at := time.Duration(0); at <= until; at += step {
		if _, err := rule.Eval(t.Context(), 0, time.Unix(0, 0).Add(at), query, &url.URL{}, 0); err != nil {
			t.Fatalf("after %v: %v", at, err)
		}
		rule.SetEvaluationTimestamp(time.Unix(0, 0).Add(at)) // as the rule's group does; without it there is no state
		if rule.State() == rules.StateFiring {
			firing = true
			for _, alert := range rule.ActiveAlerts() {
				if alert.State == rules.StateFiring {
					description = alert.Annotations.Get("description")
				}
			}
		}
	}
	return firing, description
}
