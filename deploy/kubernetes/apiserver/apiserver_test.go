// Package apiserver has a real kube-apiserver, on an etcd of dlm's own, take the chart and the
// manifests. It is a module of its own because building one takes minutes.
package apiserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

const (
	root  = "../../.."
	token = "only-for-this-test"
	// patience covers the first build of kube-apiserver.
	patience = 30 * time.Minute
)

func TestAPIServer(t *testing.T) {
	if testing.Short() {
		t.Skip("kube-apiserver takes minutes to build")
	}
	s := start(t)
	s.helm("install", "crds", "testdata/crds")

	// Every variant is installed and upgraded, into a namespace that lets in only pods of the
	// strictest standard.
	for _, pattern := range []string{"../test/chart/testdata/*.yaml", "../values/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			name, _ := strings.CutSuffix(filepath.Base(file), ".yaml")
			if strings.HasSuffix(name, ".head") {
				continue
			}
			t.Run(name, func(t *testing.T) {
				s := s.of(t)
				// The rendered manifests name theirs.
				namespace := "try-" + name
				chart := []string{"dlm", root + "/deploy/helm/dlm", "--namespace", namespace, "--values", file, "--set", "namespaceOverride="}
				s.namespace(namespace)
				s.helm(append([]string{"install"}, chart...)...)
				s.helm(append([]string{"upgrade", "--set", "image.tag=9.9.9", "--set", "config.drain=20s"}, chart...)...)
				out := s.helm("get", "manifest", "dlm", "--namespace", namespace)
				pods := 0
				for _, object := range objects(t, out) {
					if pod := podOf(object); pod != nil {
						s.takes(namespace, pod)
						pods++
					}
				}
				if pods == 0 {
					t.Error("there are no pods")
				}
				s.helm("uninstall", "dlm", "--namespace", namespace)
			})
		}
	}

	// And so are the manifests as they are.
	s.namespace("plain")
	for _, file := range []string{"../cluster.yaml", "../secure/cluster.yaml", "../secure/certificates.yaml", "../secure/client.yaml", "../external.yaml"} {
		t.Run(file, func(t *testing.T) {
			s := s.of(t)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, object := range objects(t, string(text)) {
				s.takes("plain", object)
			}
		})
	}

	// That it refuses something at all.
	s.refuses("plain", map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "root"},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": "i"}}}}, "violates PodSecurity")
	s.refuses("plain", map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "odd"},
		"spec": map[string]any{"ports": []any{map[string]any{"port": 1, "prot": "TCP"}}}}, "prot")
}

func objects(t *testing.T, text string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, document := range strings.Split("\n"+text, "\n---") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		if object != nil {
			all = append(all, object)
		}
	}
	return all
}

// podOf is what a controller would make of an object: there is none here.
func podOf(object map[string]any) map[string]any {
	within := func(path ...string) map[string]any {
		at := object
		for _, name := range path {
			at, _ = at[name].(map[string]any)
		}
		return at
	}
	var template map[string]any
	switch object["kind"] {
	case "StatefulSet", "Deployment":
		template = within("spec", "template")
	case "CronJob":
		template = within("spec", "jobTemplate", "spec", "template")
	case "Pod":
		return object
	default:
		return nil
	}
	spec, _ := template["spec"].(map[string]any)
	// The volume of a claim's template is the controller's to add.
	if object["kind"] == "StatefulSet" {
		volumes, _ := spec["volumes"].([]any)
		spec["volumes"] = append(volumes, map[string]any{"name": "data", "emptyDir": map[string]any{}})
	}
	meta, _ := template["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
	}
	meta["name"] = "a-pod"
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
}

// apiServer is one that runs.
type apiServer struct {
	t      *testing.T
	url    string
	client *http.Client
	config string // for helm
}

func (s *apiServer) of(t *testing.T) *apiServer {
	other := *s
	other.t = t
	return &other
}

func start(t *testing.T) *apiServer {
	dir := t.TempDir()
	output := func(name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %q: %v", name, args, err)
		}
		return strings.TrimSpace(string(out))
	}
	// Its version is told to the linker elsewhere; helm wants one.
	binary := filepath.Join(dir, "kube-apiserver")
	output("go", "build", "-ldflags=-X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37", "-o", binary, "k8s.io/kubernetes/cmd/kube-apiserver")
	dlm := filepath.Join(dir, "dlm")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dlm, "./cmd/dlm")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	etcd, port := free(t), free(t)
	run(t, dir, "dlm", dlm, "server", "--listen", free(t), "--data-dir", filepath.Join(dir, "data"), "--cluster-client-listen", etcd)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "sa.key"), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	write(t, filepath.Join(dir, "tokens.csv"), []byte(token+",admin,1,system:masters\n"))
	host, number, _ := net.SplitHostPort(port)
	run(t, dir, "kube-apiserver", binary, "--etcd-servers=http://"+etcd, "--bind-address="+host, "--secure-port="+number,
		"--cert-dir="+filepath.Join(dir, "certs"), "--endpoint-reconciler-type=none", "--token-auth-file="+filepath.Join(dir, "tokens.csv"),
		"--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-key-file="+filepath.Join(dir, "sa.key"), "--service-account-signing-key-file="+filepath.Join(dir, "sa.key"),
		// Accounts are made by a controller, and there is none.
		"--disable-admission-plugins=ServiceAccount")
	s := &apiServer{t: t, url: "https://" + port, client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it makes its certificate itself
	}}}
	s.config = write(t, filepath.Join(dir, "kubeconfig"), fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: c, user: {token: %s}}]
contexts: [{name: c, context: {cluster: c, user: c}}]
`, s.url, token))
	deadline := time.Now().Add(2 * time.Minute)
	for {
		code, body, err := s.do(http.MethodGet, "/readyz", nil)
		if err == nil && code == http.StatusOK {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not ready: %d, %v\n%s", code, err, body)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// run starts a process that ends with the test, and shows what it said if that failed.
func run(t *testing.T, dir, name, binary string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s said\n%s", name, text[max(0, len(text)-4000):])
		}
	})
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *apiServer) do(method, path string, object any) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	text, err := json.Marshal(object)
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(text))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/apply-patch+yaml")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

func (s *apiServer) namespace(name string) {
	s.t.Helper()
	code, body, err := s.do(http.MethodPost, "/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": name, "labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted"}}})
	if err != nil || code != http.StatusCreated {
		s.t.Fatalf("namespace %s: %d, %v\n%s", name, code, err, body)
	}
}

// apply has an object applied, with fields that the server does not know as an error; namespaces
// stay, all else is tried only.
func (s *apiServer) apply(namespace string, object map[string]any) (code int, body string, err error) {
	group, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	meta, _ := object["metadata"].(map[string]any)
	if given, ok := meta["namespace"].(string); ok {
		namespace = given
	}
	path := "/apis/" + group
	if group == "v1" {
		path = "/api/v1"
	}
	dry := "&dryRun=All"
	if kind == "Namespace" {
		dry = ""
	} else {
		path += "/namespaces/" + namespace
	}
	plural := strings.ToLower(kind) + "s"
	if kind == "NetworkPolicy" {
		plural = "networkpolicies"
	}
	return s.do(http.MethodPatch, fmt.Sprintf("%s/%s/%s?fieldManager=test&force=true&fieldValidation=Strict%s", path, plural, meta["name"], dry), object)
}

func (s *apiServer) takes(namespace string, object map[string]any) {
	s.t.Helper()
	if code, body, err := s.apply(namespace, object); err != nil || code >= 300 {
		s.t.Errorf("%v %v: %d, %v\n%s", object["kind"], object["metadata"], code, err, body)
	}
}

func (s *apiServer) refuses(namespace string, object map[string]any, want string) {
	s.t.Helper()
	if code, body, err := s.apply(namespace, object); err != nil || code < 400 || !strings.Contains(body, want) {
		s.t.Errorf("%v: %d, %v, want a refusal that says %q\n%s", object["kind"], code, err, want, body)
	}
}

func (s *apiServer) helm(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool", "-modfile=" + filepath.Join(root, "tools", "helm", "go.mod"), "helm"}, args...)...)
	home := s.t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+s.config)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("helm %q: %v\n%s%s", args, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}
