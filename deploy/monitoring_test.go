package deploy_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rule is an alert. That Prometheus takes it, and when it fires, is checked in
// deploy/monitoring/test.
type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	readYAML(t, filepath.Join("monitoring", "alerts.yaml"), func(d *yaml.Decoder) error {
		d.KnownFields(true)
		return d.Decode(&file)
	})
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) < 12 {
		t.Fatalf("%d alerts", len(all))
	}
	return all
}

// Whoever is woken by an alert finds what to do under its name in the runbook, and the runbook has
// no other.
func TestAlertsHaveTheirRunbook(t *testing.T) {
	page := contentOf(t, "..", "docs", "runbook.md")
	sections := map[string]string{}
	for _, section := range strings.Split(page, "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		sections[name] = body
	}
	for _, a := range alerts(t) {
		body, ok := sections[a.Alert]
		if !ok {
			t.Errorf("the runbook has nothing on %s", a.Alert)
		}
		delete(sections, a.Alert)
		for _, part := range []string{"**Means.**", "**Hurts**", "**Over**"} {
			if !strings.Contains(body, part) {
				t.Errorf("the runbook on %s has no %s", a.Alert, part)
			}
		}
		anchor := "docs/runbook.md#" + strings.ToLower(a.Alert)
		if url := a.Annotations["runbook_url"]; !strings.HasPrefix(url, "https://") || !strings.HasSuffix(url, anchor) {
			t.Errorf("%s: runbook_url %s, want …/%s", a.Alert, url, anchor)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s says nothing", a.Alert)
		}
		yes := ""
		switch a.Labels["severity"] {
		case "critical":
			yes = "yes"
		case "warning":
		default:
			t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
		}
		if line := "| [" + a.Alert + "](#" + strings.ToLower(a.Alert) + ") | " + yes; !strings.Contains(page, line) {
			t.Errorf("the runbook's table has no %q", line)
		}
	}
	for name := range sections {
		t.Errorf("there is no alert %s", name)
	}
}

// Every metric that an alert or a panel asks for is one that servers have, and every label.
func TestMetricsExist(t *testing.T) {
	// name, to its labels
	known := map[string]string{
		// Prometheus' own, and kube-state-metrics'.
		"up": "", "kube_cronjob_status_last_successful_time": "namespace, cronjob",
		// Go's, and etcd's: held to a server's page in cmd/dlm.
		"process_resident_memory_bytes": "", "go_goroutines": "", "etcd_disk_wal_fsync_duration_seconds": "",
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(dlm_[a-z_]+)` \\| (\\w+) \\|([^|]*)\\|").FindAllStringSubmatch(contentOf(t, "..", "docs", "metrics.md"), -1) {
		known[row[1]] = row[3]
	}
	if len(known) < 40 {
		t.Fatalf("docs/metrics.md has %d metrics", len(known))
	}
	exprs := map[string]string{}
	for _, a := range alerts(t) {
		exprs[a.Alert] = a.Expr
	}
	maps.Copy(exprs, panels(t))
	name := regexp.MustCompile(`\b(?:dlm|etcd|go|process|kube)_[a-z0-9_]+|\bup\b`)
	// Of Prometheus, whatever is scraped; of histograms; of Grafana.
	always := []string{"namespace", "job", "instance", "le"}
	label := regexp.MustCompile(`by \(([^)]*)\)|([a-z_]+)(?:=~|!=|=)"`)
	for where, expr := range exprs {
		metrics, labels := name.FindAllString(expr, -1), ""
		if len(metrics) == 0 {
			t.Errorf("%s asks for no metric: %s", where, expr)
		}
		for _, metric := range metrics {
			if _, ok := known[metric]; !ok {
				metric = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(metric, "")
			}
			of, ok := known[metric]
			if !ok {
				t.Errorf("%s asks for %s, which there is not", where, metric)
			}
			labels += of + ", "
		}
		for _, found := range label.FindAllStringSubmatch(expr, -1) {
			for _, l := range strings.Split(found[1]+found[2], ",") {
				if l = strings.TrimSpace(l); !slices.Contains(always, l) && !regexp.MustCompile(`\b`+l+`\b`).MatchString(labels) {
					t.Errorf("%s asks for the label %s, which none of %q has", where, l, metrics)
				}
			}
		}
	}
}

// panels are the expressions of the dashboard, by panel and query.
func panels(t *testing.T) map[string]string {
	t.Helper()
	var dashboard struct {
		UID           string
		SchemaVersion int
		Templating    struct{ List []struct{ Name, Type string } }
		Panels        []struct {
			ID                       int
			Type, Title, Description string
			Datasource               struct{ Type, UID string }
			GridPos                  struct{ X, Y, W, H int }
			Targets                  []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal([]byte(contentOf(t, "monitoring", "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID != "dlm" || dashboard.SchemaVersion < 40 || len(dashboard.Templating.List) != 3 {
		t.Errorf("uid %q, schema %d, %d variables", dashboard.UID, dashboard.SchemaVersion, len(dashboard.Templating.List))
	}
	exprs, ids, rows := map[string]string{}, map[int]bool{}, 0
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("two panels are number %d", p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s does not fit", p.Title)
		}
		if p.Type == "row" {
			rows++
			continue
		}
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: description %q, data source %q, %d queries", p.Title, p.Description, p.Datasource.UID, len(p.Targets))
		}
		for _, q := range p.Targets {
			exprs[p.Title+"/"+q.RefID] = q.Expr
		}
	}
	if rows != 5 || len(exprs) < 20 {
		t.Errorf("%d rows, %d queries", rows, len(exprs))
	}
	return exprs
}

func contentOf(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
