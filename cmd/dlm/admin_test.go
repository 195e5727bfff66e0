package main_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// adminURL is where a server's admin address is, as its log says.
func adminURL(t *testing.T, s *server, scheme string) string {
	t.Helper()
	var found []string
	eventually(t, "the log names the admin address", func() bool {
		found = regexp.MustCompile(`"admin":"([^"]+)"`).FindStringSubmatch(s.log.String())
		return found != nil
	})
	return scheme + "://" + found[1]
}

// get makes a request, and returns what comes of it.
func get(t *testing.T, c *http.Client, url string) (code int, body string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// asking is a client that trusts a server, and shows a certificate, if there is one.
func (s *secured) asking(t *testing.T, cert, key string) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(s.ca)
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("the authority: %v", err)
	}
	cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// shownMetrics are the families of a page of metrics.
func shownMetrics(t *testing.T, page string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatalf("the page of metrics: %v", err)
	}
	return families
}

// documentedMetrics are the rows of docs/metrics.md: the type, and the labels, of each.
func documentedMetrics(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(dlm_[a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		labels := strings.FieldsFunc(row[3], func(r rune) bool { return strings.ContainsRune("`, ", r) })
		slices.Sort(labels)
		rows[row[1]] = fmt.Sprint(row[2], labels)
	}
	if len(rows) < 40 {
		t.Fatalf("docs/metrics.md has %d metrics", len(rows))
	}
	return rows
}

// Each metric that is documented is there, as it is documented, and no other one that is dlm's. The
// names and texts are as Prometheus has them. Etcd's own are on the same page. No name that a
// client has chosen is.
func TestMetricsAreAsDocumented(t *testing.T) {
	t.Parallel()
	s := startSecured(t, "--admin-listen", "127.0.0.1:0", "--metrics-prefixes", "jobs/nightly")
	if err := os.WriteFile(s.policy, []byte(strings.ReplaceAll(rules, "[jobs]", `["*"]`)+"  - {identity: cn:worker, locks: [\"*\"], allow: [admin]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	worker := s.asking(t, s.cert, s.key)
	url := adminURL(t, s.server, "https")
	eventually(t, "the policy is in force", func() bool {
		code, _ := get(t, worker, url+"/metrics")
		return code == 200
	})
	for _, lock := range []string{"odd.-_", "jobs/nightly/a", "plain-lock"} {
		must(t, s.known(t, "lock", "--label", `label-of-mine "quoted" {x="☃"}`, lock, "--", "true"))
	}
	holder := start(t, s.known(t, "lock", "plain-lock", "--", "sh", "-c", "echo held; exec sleep 600"))
	holder.says(t, "held")
	var page string
	eventually(t, "the scrape shows the hold", func() bool {
		_, page = get(t, worker, url+"/metrics")
		return strings.Contains(page, `dlm_locks_held{prefix=""} 1`)
	})
	for _, text := range []string{"quoted", "☃", "plain-lock", "odd.-_", "label-of-mine", "nightly/a", "worker"} {
		if strings.Contains(page, text) {
			t.Errorf("%q is on the page of metrics", text)
		}
	}
	there, documented := shownMetrics(t, page), documentedMetrics(t)
	var own bytes.Buffer
	for name, family := range there {
		if !strings.HasPrefix(name, "dlm_") {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&own, family); err != nil {
			t.Fatal(err)
		}
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		got := fmt.Sprint(strings.ToLower(family.GetType().String()), labels)
		if want, ok := documented[name]; !ok {
			t.Errorf("%s is not documented", name)
		} else if got != want {
			t.Errorf("%s is %s, and documented as %s", name, got, want)
		}
	}
	for name := range documented {
		if there[name] == nil {
			t.Errorf("%s is documented, and not shown", name)
		}
	}
	for _, name := range []string{"etcd_server_has_leader", "etcd_disk_wal_fsync_duration_seconds", "go_goroutines", "process_resident_memory_bytes"} {
		if there[name] == nil {
			t.Errorf("%s is not shown", name)
		}
	}
	problems, err := promlint.New(&own).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
	for part, want := range map[string]string{
		`dlm_grants_total{prefix="jobs/nightly"} `: "1", `dlm_grants_total{prefix=""} `: "3", "dlm_quorum ": "1", "dlm_serving ": "1",
		`dlm_hold_seconds_count{outcome="released",prefix=""} `: "2", `dlm_files_stale{of="policy"} `: "0",
	} {
		if !strings.Contains(page, "\n"+part+want+"\n") {
			t.Errorf("the page does not say %s%s", part, want)
		}
	}
}

// Who asks is known as the service knows its clients; the probes ask nobody.
func TestAdminAddressKnowsWhoAsks(t *testing.T) {
	t.Parallel()
	audit := t.TempDir() + "/audit"
	s := startSecured(t, "--admin-listen", "127.0.0.1:0", "--admin-pprof", "--audit-file", audit)
	url := adminURL(t, s.server, "https")
	stranger := certstest.New(t)
	cert, key := stranger.Issue(t, certstest.Spec{CN: "worker"}).WriteTo(t, t.TempDir())
	for name, c := range map[string]struct {
		client *http.Client
		want   int
	}{
		"nobody":               {s.asking(t, "", ""), 401},
		"another authority's":  {s.asking(t, cert, key), 401},
		"one without the verb": {s.asking(t, s.cert, s.key), 403},
	} {
		for _, path := range []string{"/metrics", "/version", "/debug/pprof/cmdline"} {
			if code, body := get(t, c.client, url+path); code != c.want {
				t.Errorf("%s for %s: %d, want %d\n%s", path, name, code, c.want, body)
			}
		}
		for _, path := range []string{"/livez", "/readyz", "/readyz?verbose"} {
			if code, body := get(t, c.client, url+path); code != 200 {
				t.Errorf("%s for %s: %d, want 200\n%s", path, name, code, body)
			}
		}
	}
	eventually(t, "the refusals are written down", func() bool {
		text, err := os.ReadFile(audit)
		return err == nil && strings.Count(string(text), `"method":"GET /metrics"`) == 3 && strings.Contains(string(text), `"identity":"cn:worker"`)
	})
	if resp, err := http.Get(strings.Replace(url, "https", "http", 1) + "/livez"); err == nil {
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("plain text is answered with %s", resp.Status)
		}
	}
	// What a policy takes away is taken from the next request on.
	allowed := "rules:\n  - {identity: cn:worker, locks: [\"*\"], allow: [admin]}\n"
	client := s.asking(t, s.cert, s.key)
	certstest.Write(t, s.policy, []byte(allowed))
	eventually(t, "the policy lets it in", func() bool {
		code, _ := get(t, client, url+"/metrics")
		return code == 200
	})
	certstest.Write(t, s.policy, []byte(allowed+"revoked:\n  - {identity: cn:worker}\n"))
	eventually(t, "the revoked is refused", func() bool {
		code, _ := get(t, client, url+"/metrics")
		return code == 401
	})
}

// A server that waits for its cluster, or that drains, lives and is not ready.
func TestReadinessFollowsTheServer(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "--admin-listen", "127.0.0.1:0")
	url := adminURL(t, s, "http")
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	if code, body := get(t, client, url+"/readyz?verbose"); code != 200 || !strings.Contains(body, "[+] quorum: ok\n") {
		t.Errorf("/readyz: %d\n%s", code, body)
	}
	if code, body := get(t, client, url+"/version"); code != 200 || !strings.Contains(body, `"go":"go1`) {
		t.Errorf("/version: %d %s", code, body)
	}
	if code, _ := get(t, client, url+"/debug/pprof/"); code != 404 {
		t.Errorf("profiles that nobody has asked for: %d, want 404", code)
	}
	// A call that goes on keeps the drain from its end.
	start(t, command(t, s.addr, dlmPath, "lock", "drained", "sh", "-c", "echo held; exec sleep 600")).says(t, "held")
	start(t, command(t, s.addr, dlmPath, "watch", "drained")).says(t, "drained")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	seen := false
	for began := time.Now(); time.Since(began) < patience && !seen; {
		resp, err := client.Get(url + "/readyz?verbose")
		if err != nil {
			break // it has ended
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		seen = resp.StatusCode == 503 && strings.Contains(string(text), "[-] running: the server was told to stop\n")
	}
	if !seen {
		t.Error("nobody was told that the server stops")
	}
}

func TestReadinessWithoutQuorum(t *testing.T) {
	t.Parallel()
	peer, listen, admin := storetest.FreeAddr(t), storetest.FreeAddr(t), storetest.FreeAddr(t)
	cmd := exec.Command(dlmPath, "server", "--listen", listen, "--admin-listen", admin, "--data-dir", t.TempDir(), "--cluster-name", "a",
		"--cluster-members", "a="+peer+",b="+storetest.FreeAddr(t)+",c="+storetest.FreeAddr(t), "--cluster-peer-listen", peer)
	server := start(t, cmd)
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	eventually(t, "the server that waits for its peers answers", func() bool {
		resp, err := client.Get("http://" + admin + "/readyz?verbose")
		if err != nil {
			return false
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		return resp.StatusCode == 503 && string(text) == "[-] started: not yet: etcd is waited for\nnot ready\n"
	})
	if code, _ := get(t, client, "http://"+admin+"/livez"); code != 200 {
		t.Errorf("/livez: %d, want 200", code)
	}
	if code, page := get(t, client, "http://"+admin+"/metrics"); code != 200 || !strings.Contains(page, "\ndlm_serving 0\n") || !strings.Contains(page, "\ndlm_quorum 0\n") {
		t.Errorf("/metrics: %d\n%s", code, page)
	}
	server.signal(t, syscall.SIGTERM)
	server.wait(t)
}
