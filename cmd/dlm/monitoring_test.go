package main_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// What the alerts and the dashboard ask for a real server has on its page, beside what only comes
// with the first event of its kind or with a certificate: that this is among what is documented is
// checked in deploy.
func TestMonitoringAsksForWhatThereIs(t *testing.T) {
	t.Parallel()
	admin := storetest.FreeAddr(t)
	s := ownServer(t, "--admin-listen", admin)
	must(t, command(t, s.addr, dlmPath, "append", "l", "file", "a record"))
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v\n%s", resp.Status, err, page)
	}
	kinds := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(string(page), -1) {
		kinds[line[1]] = line[2]
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(dlm_\\w+)` \\| (\\w+) \\|([^|]*)\\|").FindAllStringSubmatch(readFile(t, "docs", "metrics.md"), -1) {
		if row[2] == "gauge" && !regexp.MustCompile("`(use|of)`").MatchString(row[3]) {
			documented[row[1]] = row[2]
		}
	}
	checked := 0
	for _, name := range regexp.MustCompile(`\b(?:dlm|etcd|go|process)_[a-z0-9_]+`).FindAllString(readFile(t, "deploy", "monitoring", "alerts.yaml")+readFile(t, "deploy", "monitoring", "dashboard.json"), -1) {
		if base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, ""); kinds[base] == "histogram" {
			name = base
		}
		needed := name[:4] != "dlm_" || documented[name] != ""
		if needed && kinds[name] == "" {
			t.Errorf("there is no %s", name)
		}
		if needed {
			checked++
		}
	}
	if checked < 15 {
		t.Errorf("%d metrics were looked for", checked)
	}
}

func readFile(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
