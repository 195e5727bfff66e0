package deploy_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/distributed-lock-manager/dlm/config"
)

func TestSampleIsTheDefaults(t *testing.T) {
	got, err := config.Load(nil, "dlm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := config.Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("dlm.yaml = %+v, want %+v", got, want)
	}
	var content map[string]any
	readYAML(t, "dlm.yaml", func(d *yaml.Decoder) error { return d.Decode(&content) })
	for _, key := range config.Keys() {
		var value any = content
		for _, name := range strings.Split(key.Name, ".") {
			section, _ := value.(map[string]any)
			value = section[name]
		}
		if value == nil {
			t.Errorf("dlm.yaml does not have %s", key.Name)
		}
	}
}

func TestImage(t *testing.T) {
	cfg, err := config.Load(nil, filepath.Join("image", "dlm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != ":50051" || cfg.DataDir != "/data" || !cfg.Insecure {
		t.Errorf("in the image listen = %s, data-dir = %s, insecure = %t", cfg.Listen, cfg.DataDir, cfg.Insecure)
	}
	text, err := os.ReadFile(filepath.Join("image", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	// A health check that asks elsewhere than the server listens calls every container unhealthy.
	const file = `"--config", "/etc/dlm/dlm.yaml"`
	for _, want := range []string{`CMD ["/dlm", "health", ` + file, `CMD ["server", ` + file + "]", "COPY dlm.yaml /etc/dlm/dlm.yaml\n", "FROM scratch\n", "USER 65532:65532\n", "VOLUME " + cfg.DataDir + "\n", "--chown=65532:65532 data " + cfg.DataDir + "\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("Dockerfile has no %q", want)
		}
	}
}

// service is what is looked at of a service in a compose file.
type service struct {
	Image       string
	Command     []string
	Environment map[string]string
	Ports       []string
	Volumes     []string
	Profiles    []string
	ReadOnly    bool `yaml:"read_only"`
	DependsOn   any  `yaml:"depends_on"`
}

func TestCompose(t *testing.T) {
	unset := regexp.MustCompile(`\$\{[A-Z_]+:-(.*)\}`) // a variable that is not set
	for file, members := range map[string]int{"single.yaml": 0, "cluster.yaml": 3, "external.yaml": 0} {
		t.Run(file, func(t *testing.T) {
			var compose struct {
				Services map[string]service
				Volumes  map[string]any
			}
			readYAML(t, filepath.Join("compose", file), func(d *yaml.Decoder) error { return d.Decode(&compose) })
			servers := 0
			for name, s := range compose.Services {
				if !strings.Contains(s.Image, "dlm") {
					continue
				}
				servers++
				for key, value := range s.Environment {
					s.Environment[key] = unset.ReplaceAllString(value, "$1")
				}
				cfg := load(t, filepath.Join("image", "dlm.yaml"), s.Environment)
				if len(s.Ports) != 1 || !strings.HasPrefix(s.Ports[0], "127.0.0.1:") || !strings.HasSuffix(s.Ports[0], cfg.Listen) {
					t.Errorf("%s: ports %q for %s", name, s.Ports, cfg.Listen)
				}
				if !s.ReadOnly {
					t.Errorf("%s could write to its image", name)
				}
				if len(cfg.Cluster.Members) != members {
					t.Errorf("%s: %d members, want %d", name, len(cfg.Cluster.Members), members)
				}
				if members > 0 {
					if s.DependsOn != nil {
						t.Errorf("%s waits for %v, and a cluster is founded by all together", name, s.DependsOn)
					}
					named(t, name, cfg)
					checkMembers(t, cfg, func(member, host string) bool { return member == host && compose.Services[host].Image != "" })
				}
				if volume := len(s.Volumes) == 1 && strings.HasSuffix(s.Volumes[0], ":"+cfg.DataDir); volume == cfg.External() {
					t.Errorf("%s: volumes %q", name, s.Volumes)
				}
			}
			if servers == 0 {
				t.Error("no servers found")
			}
		})
	}
}

// manifest is what is looked at of a Kubernetes object. That nothing else is misspelt is checked in
// deploy/kubernetes/test.
type manifest struct {
	Kind     string
	Metadata struct {
		Name      string
		Namespace string
		Labels    map[string]string
	}
	Data map[string]string
	Spec struct {
		Replicas                 int
		ServiceName              string           `yaml:"serviceName"`
		ClusterIP                string           `yaml:"clusterIP"`
		PublishNotReadyAddresses bool             `yaml:"publishNotReadyAddresses"`
		PodManagementPolicy      string           `yaml:"podManagementPolicy"`
		Selector                 map[string]any   `yaml:"selector"`
		Ports                    []map[string]any `yaml:"ports"`
		VolumeClaimTemplates     []map[string]any `yaml:"volumeClaimTemplates"`
		Ingress                  []struct{ From, Ports []map[string]any }
		Egress                   []struct{ To, Ports []map[string]any }
		Template                 pod
		JobTemplate              struct{ Spec struct{ Template pod } } `yaml:"jobTemplate"`

		// Of cert-manager's Certificate.
		SecretName string   `yaml:"secretName"`
		DNSNames   []string `yaml:"dnsNames"`
		URIs       []string
		Usages     []string
		IssuerRef  struct{ Name string } `yaml:"issuerRef"`
	}
}

type pod struct {
	Metadata struct{ Labels map[string]string }
	Spec     struct {
		ServiceAccountName string `yaml:"serviceAccountName"`
		Automount          *bool  `yaml:"automountServiceAccountToken"`
		EnableServiceLinks *bool  `yaml:"enableServiceLinks"`
		SecurityContext    struct {
			FSGroup int `yaml:"fsGroup"`
		} `yaml:"securityContext"`
		Containers []container
		Volumes    []struct {
			Name      string
			ConfigMap struct{ Name string } `yaml:"configMap"`
			Secret    *struct {
				SecretName  string `yaml:"secretName"`
				DefaultMode int    `yaml:"defaultMode"`
			}
			Projected struct {
				Sources []struct {
					Token struct{ Audience, Path string } `yaml:"serviceAccountToken"`
				}
			}
		}
	}
}

type container struct {
	Args []string
	Env  []struct {
		Name, Value string
		ValueFrom   map[string]any `yaml:"valueFrom"`
	}
	EnvFrom []any `yaml:"envFrom"`
	Ports   []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	StartupProbe   probe `yaml:"startupProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	LivenessProbe  probe `yaml:"livenessProbe"`
	VolumeMounts   []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		SubPath   string `yaml:"subPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	GRPC any
	Exec struct{ Command []string }
}

// manifests are the objects of a file by kind and name.
func manifests(t *testing.T, file string) map[string]manifest {
	t.Helper()
	objects := map[string]manifest{}
	readYAML(t, filepath.Join("kubernetes", file), func(d *yaml.Decoder) error {
		var m manifest
		err := d.Decode(&m)
		if err == nil {
			objects[m.Kind+"/"+m.Metadata.Name] = m
		}
		return err
	})
	return objects
}

func TestKubernetes(t *testing.T) {
	for file, kind := range map[string]string{"cluster.yaml": "StatefulSet", "external.yaml": "Deployment", "secure/cluster.yaml": "StatefulSet"} {
		t.Run(file, func(t *testing.T) {
			objects := manifests(t, file)
			workload, ok := objects[kind+"/dlm"]
			if !ok {
				t.Fatalf("no %s", kind)
			}
			pod := workload.Spec.Template.Spec
			if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
				t.Error("the pods would get a variable for every service")
			}
			c := pod.Containers[0]
			path := placed(t, objects["ConfigMap/dlm"].Data["dlm.yaml"], objects["ConfigMap/dlm-policy"].Data["policy.yaml"], podPaths...)
			mounts := map[string]bool{}
			for _, m := range c.VolumeMounts {
				mounts[m.MountPath] = true
			}
			if last := c.Args[len(c.Args)-1]; !mounts[filepath.Dir(last)] {
				t.Errorf("%s is not mounted", last)
			}
			ports := map[string]int{}
			for _, p := range c.Ports {
				ports[p.Name] = p.ContainerPort
			}

			policy, ok := objects["NetworkPolicy/dlm"]
			if !ok || len(policy.Spec.Ingress) == 0 {
				t.Error("no network policy")
			}
			for _, rule := range policy.Spec.Ingress {
				// A peer of a rule without a namespaceSelector is of the policy's own namespace.
				selector := "podSelector"
				if filepath.Dir(file) == "secure" && len(rule.Ports) == 1 && rule.Ports[0]["port"] == "grpc" {
					selector = "namespaceSelector" // and TLS
				}
				if len(rule.From) != 1 || rule.From[0][selector] == nil || len(rule.From[0]) != 1 || len(rule.Ports) != 1 {
					t.Errorf("the policy opens %v to %v", rule.Ports, rule.From)
				}
			}

			replicas := workload.Spec.Replicas
			if kind == "Deployment" {
				cfg := load(t, path, nil)
				if !cfg.External() {
					t.Error("the deployment would lose its data")
				}
				checkPort(t, cfg.Listen, ports["grpc"])
				return
			}
			peers := objects["Service/"+workload.Spec.ServiceName].Spec
			if peers.ClusterIP != "None" || !peers.PublishNotReadyAddresses || workload.Spec.PodManagementPolicy != "Parallel" {
				t.Error("the pods would wait for each other to be ready")
			}
			if len(c.Env) != 2 || c.Env[0].Name != config.Env("cluster.name") || c.Env[1].Name != "GOMEMLIMIT" {
				t.Errorf("environment %v, want the name of the pod and its memory", c.Env)
			}
			for i := range replicas {
				name := "dlm-" + strconv.Itoa(i)
				cfg := load(t, path, map[string]string{config.Env("cluster.name"): name})
				named(t, name, cfg)
				if len(cfg.Cluster.Members) != replicas {
					t.Errorf("%d members, %d replicas", len(cfg.Cluster.Members), replicas)
				}
				checkMembers(t, cfg, func(member, host string) bool { return host == member+"."+workload.Spec.ServiceName })
				checkPort(t, cfg.Listen, ports["grpc"])
				checkPort(t, cfg.Cluster.PeerListen, ports["peer"])
				if !mounts[cfg.DataDir] || len(workload.Spec.VolumeClaimTemplates) != 1 {
					t.Errorf("%s is no volume", cfg.DataDir)
				}
			}
		})
	}
}

func TestSystemd(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("systemd", "dlm.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ExecStart=/usr/local/bin/dlm server --config /etc/dlm/dlm.yaml --data-dir ${STATE_DIRECTORY}\n",
		"ExecReload=/bin/kill -HUP $MAINPID\n", "LoadCredential=dlm.etcd-password\n", "LoadCredential=dlm.key.pem\n",
		"\n#Environment=DLM_TLS_CERT=%d/dlm.cert.pem DLM_TLS_KEY=%d/dlm.key.pem\n", "StateDirectory=dlm\n", "DynamicUser=yes\n", "Restart=on-failure\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("dlm.service has no %q", want)
		}
	}
}

// readYAML lets decode read the documents of a file, until it has no more.
func readYAML(t *testing.T, path string, decode func(*yaml.Decoder) error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	d := yaml.NewDecoder(f)
	for n := 0; ; n++ {
		err := decode(d)
		if errors.Is(err, io.EOF) && n > 0 {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}

// load reads a configuration as a server with this environment would.
func load(t *testing.T, path string, env map[string]string) config.Config {
	t.Helper()
	for key, value := range env {
		t.Setenv(key, value)
	}
	cfg, err := config.Load(nil, path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func named(t *testing.T, name string, cfg config.Config) {
	t.Helper()
	if cfg.Cluster.Name != name {
		t.Errorf("%s is called %s", name, cfg.Cluster.Name)
	}
}

// checkMembers checks that all members are reached where this one listens, under names that lead
// somewhere.
func checkMembers(t *testing.T, cfg config.Config, leads func(member, host string) bool) {
	t.Helper()
	members, err := cfg.Cluster.MemberMap()
	if err != nil {
		t.Fatal(err)
	}
	for member, addr := range members {
		host, port, _ := strings.Cut(addr, ":")
		if !leads(member, host) || ":"+port != cfg.Cluster.PeerListen {
			t.Errorf("member %s at %s, listening on %s", member, addr, cfg.Cluster.PeerListen)
		}
	}
}

func checkPort(t *testing.T, addr string, port int) {
	t.Helper()
	if addr != ":"+strconv.Itoa(port) {
		t.Errorf("the server listens on %s, the container has port %d", addr, port)
	}
}
