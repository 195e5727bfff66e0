package deploy_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// One run of the compose file is one authority: the server has a certificate of it, the client one
// with the identity that the policy knows.
func TestSecureCompose(t *testing.T) {
	var compose struct{ Services map[string]service }
	readYAML(t, filepath.Join("compose", "secure.yaml"), func(d *yaml.Decoder) error { return d.Decode(&compose) })
	certs, server, client := compose.Services["certs"], compose.Services["dlm"], compose.Services["client"]
	if want := []string{"dev-certs", "/data", "--host", "dlm", "--client", "jobs"}; !slices.Equal(certs.Command, want) {
		t.Errorf("the certificates are made by %q, want %q", certs.Command, want)
	}
	for _, mount := range []struct {
		of    service
		where string
	}{{certs, "certs:/data"}, {server, "certs:/certs:ro"}, {server, "./secure:/etc/dlm:ro"}, {client, "certs:/certs:ro"}} {
		if !slices.Contains(mount.of.Volumes, mount.where) {
			t.Errorf("%q is not mounted, but %q", mount.where, mount.of.Volumes)
		}
	}
	if len(client.Profiles) == 0 {
		t.Error("the client would be started as a server is")
	}
	for name, file := range map[string]string{"DLM_CLIENT_CA": "ca.crt", "DLM_CLIENT_CERT": "jobs.crt", "DLM_CLIENT_KEY": "jobs.key"} {
		if client.Environment[name] != "/certs/"+file {
			t.Errorf("the client's %s is %s", name, client.Environment[name])
		}
	}

	dir := filepath.Join("compose", "secure")
	text, err := os.ReadFile(filepath.Join(dir, "dlm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := os.ReadFile(filepath.Join(dir, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := load(t, placed(t, string(text), string(policy), "/certs", "/etc/dlm"), nil)
	if cfg.Insecure || cfg.TLS.ClientCA == "" || cfg.Audit.File == "" {
		t.Errorf("insecure = %t, tls.client-ca = %q, audit.file = %q", cfg.Insecure, cfg.TLS.ClientCA, cfg.Audit.File)
	}
	if len(server.Ports) != 1 || !strings.HasPrefix(server.Ports[0], "127.0.0.1:") || !strings.HasSuffix(server.Ports[0], cfg.Listen) {
		t.Errorf("ports %q for %s", server.Ports, cfg.Listen)
	}
	jobs := parsePolicy(t, string(policy)).For("spiffe:spiffe://dlm.test/jobs")
	if !jobs.Allows(auth.Append, "jobs/nightly") || jobs.Allows(auth.Append, "payroll") {
		t.Error("the policy is not what the compose file says of it")
	}
}

// Where the pods have the files that their configuration names.
var podPaths = []string{"/etc/dlm-tls", "/etc/dlm-peers-tls", "/etc/dlm-policy", "/var/run/secrets/kubernetes.io/serviceaccount"}

// What the servers need they have, from whom it may come, and nobody else can read or write it.
func TestSecureKubernetes(t *testing.T) {
	objects, issued := manifests(t, "secure/cluster.yaml"), manifests(t, "secure/certificates.yaml")
	server := objects["StatefulSet/dlm"].Spec.Template.Spec
	c := server.Containers[0]
	text, policyText := objects["ConfigMap/dlm"].Data["dlm.yaml"], objects["ConfigMap/dlm-policy"].Data["policy.yaml"]
	cfg := load(t, placed(t, text, policyText, podPaths...), map[string]string{config.Env("cluster.name"): "dlm-0"})
	if cfg.Insecure || cfg.TLS.ClientAuth != "request" || cfg.Audit.File != "stderr" {
		t.Errorf("insecure = %t, tls.client-auth = %s, audit.file = %s", cfg.Insecure, cfg.TLS.ClientAuth, cfg.Audit.File)
	}
	if server.Automount == nil || !*server.Automount || objects["ServiceAccount/"+server.ServiceAccountName].Kind == "" {
		t.Error("the servers have no account to ask the API server with")
	}
	for name, p := range map[string]probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
		if p.GRPC != nil {
			t.Errorf("the %s probe would not get through TLS", name)
		}
	}
	if got, want := strings.Join(c.ReadinessProbe.Exec.Command, " "), "/dlm health "+strings.Join(c.Args[1:], " "); !strings.HasPrefix(got, want) {
		t.Errorf("the servers are ready by %q, want %q", got, want)
	}

	// What the configuration names is mounted, the secrets are those that are issued, and updates
	// of them arrive.
	where := map[string]string{} // is mounted the secret of which certificate, or the ConfigMap
	for _, m := range c.VolumeMounts {
		if m.SubPath != "" || !m.ReadOnly && m.Name != "data" {
			t.Errorf("%s is mounted by subPath %q, read-only = %t", m.MountPath, m.SubPath, m.ReadOnly)
		}
		for _, v := range server.Volumes {
			switch {
			case v.Name != m.Name:
			case v.Secret != nil:
				where[m.MountPath] = v.Secret.SecretName
			default:
				where[m.MountPath] = v.ConfigMap.Name
			}
		}
	}
	for dir, want := range map[string]string{
		"/etc/dlm": "dlm", "/etc/dlm-policy": "dlm-policy",
		"/etc/dlm-tls": issued["Certificate/dlm"].Spec.SecretName, "/etc/dlm-peers-tls": issued["Certificate/dlm-peers"].Spec.SecretName,
	} {
		if where[dir] != want || want == "" {
			t.Errorf("%s has %q, want %q", dir, where[dir], want)
		}
	}
	service, peers := issued["Certificate/dlm"].Spec, issued["Certificate/dlm-peers"].Spec
	if !slices.Contains(service.Usages, "server auth") || slices.Contains(service.Usages, "client auth") {
		t.Errorf("the service's certificate is for %q", service.Usages)
	}
	if !slices.Contains(peers.Usages, "server auth") || !slices.Contains(peers.Usages, "client auth") {
		t.Errorf("the peers' certificate is for %q", peers.Usages)
	}
	if service.IssuerRef == peers.IssuerRef {
		t.Error("who gets a certificate of the service's authority is a peer")
	}
	members, err := cfg.Cluster.MemberMap()
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range members {
		if host, _, _ := strings.Cut(addr, ":"); !slices.Contains(peers.DNSNames, host) {
			t.Errorf("the peers' certificate is not for %s, but %q", host, peers.DNSNames)
		}
	}

	// The example client reaches the servers, trusts them, and may do what it does.
	client := manifests(t, "secure/client.yaml")
	job := client["CronJob/nightly"]
	of := job.Spec.JobTemplate.Spec.Template.Spec
	args := strings.Join(of.Containers[0].Args, " ")
	_, endpoint, _ := strings.Cut(args, "--endpoints=")
	endpoint, _, _ = strings.Cut(endpoint, " ")
	host, found := strings.CutSuffix(endpoint, cfg.Listen)
	if !found || !slices.Contains(service.DNSNames, host) || host != "dlm."+objects["Service/dlm"].Metadata.Namespace+".svc" {
		t.Errorf("the client connects to %s, the certificate is for %q", endpoint, service.DNSNames)
	}
	if len(cfg.Auth.JWT) != 1 {
		t.Fatalf("auth.jwt = %+v", cfg.Auth.JWT)
	}
	issuer := cfg.Auth.JWT[0]
	policy := parsePolicy(t, policyText)
	id, err := auth.FromToken(issuer.Issuer, "system:serviceaccount:"+job.Metadata.Namespace+":"+of.ServiceAccountName)
	if err != nil {
		t.Fatal(err)
	}
	if view := policy.For(id); !view.Allows(auth.Acquire, "batch/nightly") || !view.Allows(auth.Append, "batch/nightly") || view.Allows(auth.Inspect, "payroll") {
		t.Errorf("the policy is not made for %s", id)
	}
	if !strings.Contains(args, " batch/nightly ") || !strings.Contains(args, "--ca=/etc/dlm-ca/ca.crt") {
		t.Errorf("the client is run with %q", args)
	}
	tokens := map[string]string{} // where they are, and for whom
	for _, m := range of.Containers[0].VolumeMounts {
		for _, v := range of.Volumes {
			if v.Name == m.Name {
				for _, source := range v.Projected.Sources {
					tokens[path.Join(m.MountPath, source.Token.Path)] = source.Token.Audience
				}
			}
		}
	}
	if env := of.Containers[0].Env; len(env) != 1 || env[0].Name != "DLM_BEARER_FILE" || issuer.Audience == "" || tokens[env[0].Value] != issuer.Audience {
		t.Errorf("environment %v, tokens %v, want one for %q", env, tokens, issuer.Audience)
	}
	for _, uri := range issued["Certificate/dlm-operator"].Spec.URIs {
		if !policy.For(auth.Identity("spiffe:" + uri)).Everywhere(auth.Admin) {
			t.Errorf("the operator, %s, is none", uri)
		}
	}

	// In comes who has the label that the client's namespace has; out go only these.
	network := objects["NetworkPolicy/dlm"].Spec
	for _, rule := range network.Ingress {
		if rule.Ports[0]["port"] != "grpc" {
			continue
		}
		selector, _ := rule.From[0]["namespaceSelector"].(map[string]any)
		labels, _ := selector["matchLabels"].(map[string]any)
		for key, value := range labels {
			if client["Namespace/"+job.Metadata.Namespace].Metadata.Labels[key] != value {
				t.Errorf("the client's namespace is not let in, by %s: %v", key, value)
			}
		}
		if len(labels) == 0 {
			t.Error("every namespace is let in")
		}
	}
	out := map[any]int{} // ports, to how many selectors
	for _, rule := range network.Egress {
		for _, port := range rule.Ports {
			out[port["port"]] += len(rule.To)
		}
	}
	_, peer, _ := strings.Cut(cfg.Cluster.PeerListen, ":")
	if port, err := strconv.Atoi(peer); err != nil || out[port] != 1 || out[53] != 2 || len(out) != 4 {
		t.Errorf("out go %v: want peers, DNS, and the API server on two ports", out)
	}
	for _, port := range []int{443, 6443} {
		if to, open := out[port]; !open || to != 0 {
			t.Errorf("port %d goes out to %d selectors, and the API server is in none", port, to)
		}
	}
}

// Secrets are files: in an argument or a variable other processes and `kubectl describe` show them,
// and a ConfigMap is read by many.
func TestSecretsAreFiles(t *testing.T) {
	for _, file := range []string{"cluster.yaml", "external.yaml", "secure/certificates.yaml", "secure/client.yaml", "secure/cluster.yaml"} {
		for name, m := range manifests(t, file) {
			if m.Kind == "Secret" {
				t.Errorf("%s: %s would have everybody use the same", file, name)
			}
			for key, text := range m.Data {
				var content map[string]any
				if err := yaml.Unmarshal([]byte(text), &content); err != nil {
					t.Errorf("%s: %s, %s: %v", file, name, key, err)
				}
				if etcd, _ := content["etcd"].(map[string]any); etcd["password"] != nil || strings.Contains(text, "PRIVATE KEY") {
					t.Errorf("%s: %s has a secret in it", file, name)
				}
			}
			for _, spec := range []pod{m.Spec.Template, m.Spec.JobTemplate.Spec.Template} {
				for _, v := range spec.Spec.Volumes {
					if v.Secret != nil && (fs.FileMode(v.Secret.DefaultMode)&0o007 != 0 || v.Secret.DefaultMode == 0 || spec.Spec.SecurityContext.FSGroup == 0) { //nolint:gosec // a mode
						t.Errorf("%s: %s mounts %s for everybody (mode %04o)", file, name, v.Name, v.Secret.DefaultMode)
					}
				}
				for _, c := range spec.Spec.Containers {
					for _, e := range c.Env {
						if e.Value != "" && !strings.HasSuffix(e.Name, "_FILE") || e.ValueFrom["secretKeyRef"] != nil {
							t.Errorf("%s: %s has %s in its environment", file, name, e.Name)
						}
					}
					if len(c.EnvFrom) > 0 || strings.Contains(strings.Join(c.Args, " "), "password") {
						t.Errorf("%s: %s: arguments %q, environment from %v", file, name, c.Args, c.EnvFrom)
					}
				}
			}
		}
	}
}

func parsePolicy(t *testing.T, text string) *auth.Policy {
	t.Helper()
	policy, err := auth.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// placed writes a configuration that finds here what its server finds in some directories: the
// policy, and files as an authority and an API server make them.
func placed(t *testing.T, text, policy string, dirs ...string) string {
	t.Helper()
	here := t.TempDir()
	authority := certstest.New(t)
	pair := authority.Issue(t, certstest.Spec{DNS: []string{"dlm"}})
	for name, content := range map[string][]byte{
		"ca.crt": authority.PEM(), "crl.pem": authority.CRL(t), "tls.crt": pair.Cert, "tls.key": pair.Key, "server.crt": pair.Cert, "server.key": pair.Key,
		"token": []byte("a.b.c"), "policy.yaml": []byte(policy),
	} {
		certstest.Write(t, filepath.Join(here, name), content)
	}
	for _, dir := range dirs {
		text = strings.ReplaceAll(text, dir+"/", here+"/")
	}
	return certstest.Write(t, filepath.Join(here, "dlm.yaml"), []byte(text))
}
