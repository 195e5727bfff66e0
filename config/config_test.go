package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// write makes a file of the test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load loads a file's text.
func load(t *testing.T, text string) (config.Config, error) {
	t.Helper()
	return config.Load(nil, write(t, "dlm.yaml", text))
}

func TestNothingConfiguredIsDefault(t *testing.T) {
	got, err := config.Load(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := config.Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("Load = %+v, want %+v", got, want)
	}
	got, err = load(t, "# nothing\nlog:\n#  level: warn\netcd: {}\nlisten:\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := config.Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("Load of an empty file = %+v, want %+v", got, want)
	}
}

func TestSourcesComeBeforeEachOther(t *testing.T) {
	file := write(t, "dlm.yaml", "listen: localhost:1\ndrain: 1s\ndata-dir: file\nlog: {level: warn}\ncluster: {members: [a=a:1]}\n")
	t.Setenv("DLM_DRAIN", "2s")
	t.Setenv("DLM_DATA_DIR", "env")
	t.Setenv("DLM_COURSEWORK_LOCK", "")
	t.Setenv("DLM_CLUSTER_MEMBERS", "")
	t.Setenv("DLM_ETCD_PREFIX", "/env/")
	flags := pflag.NewFlagSet("server", pflag.ContinueOnError)
	flags.String("listen", "127.0.0.1:9", "")
	flags.String("data-dir", "elsewhere", "")
	flags.StringSlice("cluster-members", nil, "")
	flags.Duration("etcd-timeout", time.Hour, "")
	flags.String("unrelated", "", "")
	if err := flags.Parse([]string{"--data-dir", "flag", "--unrelated=x"}); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(flags, file)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Listen = "localhost:1"  // the file, over the default and an unused flag's
	want.Drain = 2 * time.Second // the environment, over the file
	want.DataDir = "flag"        // the flag, over both
	want.Log.Level = "warn"      // the file alone
	want.Coursework.Lock = ""    // the environment, over the default; of members, over the file
	want.Etcd.Prefix = "/env/"   // the environment alone
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Load = %+v, want %+v", got, want)
	}
}

func TestEveryKeyFromEverySource(t *testing.T) {
	ca, cert, key := pems(t)
	crl := write(t, "crl.pem", string(certstest.New(t).CRL(t)))
	file := strings.NewReplacer("CA", ca, "CERT", cert, "KEY", key, "CRL", crl).Replace(`
listen: 0.0.0.0:7
data-dir: /d
drain: 1m
log: {level: debug, format: json}
etcd: {prefix: /p/, timeout: 7s, history: 1h}
cluster:
  name: b
  peer-listen: ":2380"
  peer-advertise: b:2380
  members: [a=a:2380, b=b:2380, c=c:2380]
  state: existing
  client-listen: 127.0.0.1:2379
  quota: 1GiB
  tls: {ca: CA, cert: CERT, key: KEY, crl: CRL}
coursework: {lock: c/w, ttl: 20s, hold: 0s}
hold:
  max:
    - {prefix: "*", max-hold: 24h}
    - {prefix: Deploy/a.b, max-hold: 0s}
insecure: true
reflection: false
tls: {cert: CERT, key: KEY, client-ca: CA, crl: CRL, client-auth: request}
auth:
  identity: dns
  policy: policy.yaml
  jwt:
    - {issuer: i, audience: a, jwks: "https://i/keys", algorithms: [RS256, ES256], jwks-ca: /ca, jwks-token-file: /token}
    - {issuer: j, audience: a, jwks: /keys.json}
audit: {file: /audit, required: true}
admin: {listen: ":9", pprof: true}
metrics: {prefixes: [jobs, jobs/nightly]}
limits:
  connections: 1
  connections-per-address: 2
  idle: 3s
  age: 17m
  call-rate: 18
  streams: 4
  calls: 5
  buffer: 50MiB
  connection-buffer: 48MiB
  deliver: 6s
  collect: 7s
  gzip: true
  session-rate: 8
  session-rate-per-client: 9
  session-burst: 10
  sessions: 11
  sessions-per-client: 12
  acquisitions: 13
  waiters: 14
  watches: 15
  watches-per-client: 16
`)
	want := config.Config{
		Listen: "0.0.0.0:7", DataDir: "/d", Drain: time.Minute,
		Log:  config.Log{Level: "debug", Format: "json"},
		Etcd: config.Etcd{Prefix: "/p/", Timeout: 7 * time.Second, History: time.Hour},
		Cluster: config.Cluster{
			Name: "b", PeerListen: ":2380", PeerAdvertise: "b:2380",
			Members: []string{"a=a:2380", "b=b:2380", "c=c:2380"},
			State:   "existing", ClientListen: "127.0.0.1:2379", Quota: 1 << 30,
			TLS: config.TLS{CA: ca, Cert: cert, Key: key, CRL: crl},
		},
		Coursework: config.Coursework{Lock: "c/w", TTL: 20 * time.Second},
		Hold:       config.Hold{Max: []config.HoldMax{{Prefix: "*", MaxHold: 24 * time.Hour}, {Prefix: "Deploy/a.b"}}},
		Insecure:   true,
		TLS:        config.ServerTLS{Cert: cert, Key: key, ClientCA: ca, CRL: crl, ClientAuth: "request"},
		Auth: config.Auth{Identity: "dns", Policy: "policy.yaml", JWT: []config.JWT{
			{Issuer: "i", Audience: "a", JWKS: "https://i/keys", Algorithms: []string{"RS256", "ES256"}, JWKSCA: "/ca", TokenFile: "/token"},
			{Issuer: "j", Audience: "a", JWKS: "/keys.json"},
		}},
		Audit: config.Audit{File: "/audit", Required: true},
		Admin: config.Admin{Listen: ":9", Pprof: true}, Metrics: config.Metrics{Prefixes: []string{"jobs", "jobs/nightly"}},
		Limits: config.Limits{
			Connections: 1, ConnectionsPerAddress: 2, Idle: 3 * time.Second, Age: 17 * time.Minute, CallRate: 18, Streams: 4, Calls: 5, Buffer: 50 << 20, ConnectionBuffer: 48 << 20,
			Deliver: 6 * time.Second, Collect: 7 * time.Second, Gzip: true, SessionRate: 8, SessionRatePerClient: 9, SessionBurst: 10,
			Sessions: 11, SessionsPerClient: 12, Acquisitions: 13, Waiters: 14, Watches: 15, WatchesPerClient: 16,
		},
	}
	external := map[string]string{
		"DLM_ETCD_ENDPOINTS": "https://e1:2379, https://e2:2379,", "DLM_ETCD_USERNAME": "u", "DLM_ETCD_PASSWORD": "p",
		"DLM_ETCD_TLS_CA": ca, "DLM_ETCD_TLS_CERT": cert, "DLM_ETCD_TLS_KEY": key,
	}
	t.Run("file", func(t *testing.T) {
		got, err := load(t, file)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Load = %+v, %v, want %+v", got, err, want)
		}
	})
	t.Run("what is printed", func(t *testing.T) {
		text, err := want.YAML()
		if err != nil {
			t.Fatal(err)
		}
		got, err := load(t, string(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Load of\n%s= %+v, %v, want %+v", text, got, err, want)
		}
		for _, k := range config.Keys() {
			last := k.Name[strings.LastIndex(k.Name, ".")+1:]
			if !strings.Contains(string(text), last+":") {
				t.Errorf("%s is not printed", k.Name)
			}
		}
	})
	t.Run("environment", func(t *testing.T) {
		for key, value := range map[string]string{
			"DLM_LISTEN": "0.0.0.0:7", "DLM_DATA_DIR": "/d", "DLM_DRAIN": "1m", "DLM_LOG_LEVEL": "debug", "DLM_LOG_FORMAT": "json",
			"DLM_ETCD_PREFIX": "/p/", "DLM_ETCD_TIMEOUT": "7s", "DLM_ETCD_HISTORY": "1h", "DLM_CLUSTER_NAME": "b",
			"DLM_CLUSTER_PEER_LISTEN": ":2380", "DLM_CLUSTER_PEER_ADVERTISE": "b:2380",
			"DLM_CLUSTER_MEMBERS": "a=a:2380,b=b:2380,c=c:2380", "DLM_CLUSTER_STATE": "existing",
			"DLM_COURSEWORK_LOCK": "c/w", "DLM_COURSEWORK_TTL": "20s", "DLM_COURSEWORK_HOLD": "0s",
			"DLM_CLUSTER_CLIENT_LISTEN": "127.0.0.1:2379", "DLM_CLUSTER_QUOTA": "1073741824", "DLM_CLUSTER_TLS_CA": ca,
			"DLM_CLUSTER_TLS_CERT": cert, "DLM_CLUSTER_TLS_KEY": key, "DLM_CLUSTER_TLS_CRL": crl,
			"DLM_LIMITS_CONNECTIONS": "1", "DLM_LIMITS_CONNECTIONS_PER_ADDRESS": "2", "DLM_LIMITS_IDLE": "3s", "DLM_LIMITS_AGE": "17m", "DLM_LIMITS_CALL_RATE": "18",
			"DLM_LIMITS_STREAMS": "4",
			"DLM_LIMITS_CALLS":   "5", "DLM_LIMITS_BUFFER": "50MiB", "DLM_LIMITS_CONNECTION_BUFFER": "48MiB", "DLM_LIMITS_DELIVER": "6s",
			"DLM_LIMITS_COLLECT": "7s", "DLM_LIMITS_GZIP": "true", "DLM_LIMITS_SESSION_RATE": "8", "DLM_LIMITS_SESSION_RATE_PER_CLIENT": "9",
			"DLM_LIMITS_SESSION_BURST": "10", "DLM_LIMITS_SESSIONS": "11", "DLM_LIMITS_SESSIONS_PER_CLIENT": "12",
			"DLM_LIMITS_ACQUISITIONS": "13", "DLM_LIMITS_WAITERS": "14", "DLM_LIMITS_WATCHES": "15", "DLM_LIMITS_WATCHES_PER_CLIENT": "16",
			"DLM_ADMIN_LISTEN": ":9", "DLM_ADMIN_PPROF": "true", "DLM_METRICS_PREFIXES": "jobs, jobs/nightly",
			"DLM_INSECURE": "true", "DLM_REFLECTION": "false", "DLM_TLS_CERT": cert, "DLM_TLS_KEY": key, "DLM_TLS_CLIENT_CA": ca, "DLM_TLS_CRL": crl,
			"DLM_TLS_CLIENT_AUTH": "request", "DLM_AUTH_IDENTITY": "dns", "DLM_AUTH_POLICY": "policy.yaml", "DLM_AUDIT_FILE": "/audit", "DLM_AUDIT_REQUIRED": "true",
			"DLM_HOLD_MAX": `[{prefix: "*", max-hold: 24h}, {"prefix": "Deploy/a.b", "max-hold": "0s"}]`,
			"DLM_AUTH_JWT": `[{issuer: i, audience: a, jwks: "https://i/keys", algorithms: [RS256, ES256], jwks-ca: /ca, jwks-token-file: /token}, {"issuer": "j", "audience": "a", "jwks": "/keys.json"}]`,
		} {
			t.Setenv(key, value)
		}
		got, err := config.Load(nil, "")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Load = %+v, %v, want %+v", got, err, want)
		}
	})
	t.Run("flags", func(t *testing.T) {
		flags := pflag.NewFlagSet("server", pflag.ContinueOnError)
		flags.Duration("drain", 0, "")
		flags.StringSlice("cluster-members", nil, "")
		flags.Int64("cluster-quota", 0, "")
		if err := flags.Parse([]string{"--drain=1m", "--cluster-members", "a=a:2380,b=b:2380", "--cluster-members=c=c:2380", "--cluster-quota=1073741824"}); err != nil {
			t.Fatal(err)
		}
		got, err := config.Load(flags, write(t, "dlm.yaml", strings.NewReplacer("drain: 1m", "drain: 2m", "members: [a", "members: [z").Replace(file)))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Load = %+v, %v, want %+v", got, err, want)
		}
	})
	t.Run("external", func(t *testing.T) {
		for key, value := range external {
			t.Setenv(key, value)
		}
		want := config.Default()
		want.Etcd.Endpoints = []string{"https://e1:2379", "https://e2:2379"}
		want.Etcd.Username, want.Etcd.Password = "u", "p"
		want.Etcd.History = 0
		want.Etcd.TLS = config.TLS{CA: ca, Cert: cert, Key: key}
		got, err := config.Load(nil, "")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Load = %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestForeignVariablesAreIgnored(t *testing.T) {
	// What Kubernetes makes of services called dlm, dlm-log and dlm-etcd, and what the client
	// commands read.
	for key, value := range map[string]string{
		"DLM_PORT": "tcp://10.0.0.1:50051", "DLM_SERVICE_HOST": "10.0.0.1", "DLM_PORT_50051_TCP_ADDR": "10.0.0.1",
		"DLM_LOG": "x", "DLM_ETCD": "x", "DLM_CLUSTER": "x", "DLM_ETCD_PORT": "tcp://10.0.0.1:2379", "DLM_ENDPOINTS": "h:1", "DLM_TOKEN": "5",
	} {
		t.Setenv(key, value)
	}
	got, err := load(t, "log: {level: warn}\netcd: {timeout: 1s}\ncluster: {name: n}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Log.Level, want.Etcd.Timeout, want.Cluster.Name = "warn", time.Second, "n"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Load = %+v, want %+v", got, want)
	}
}

func TestHistory(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"":                            3 * time.Minute,
		"etcd: {history: 1m}":         time.Minute,
		"etcd: {endpoints: [e:2379]}": 0,
		"etcd: {endpoints: e:2379}":   0,
		"etcd: {endpoints: [e:2379], history: 1m}": time.Minute,
		"etcd: {endpoints: [e:2379], history: 0}":  0,
	} {
		got, err := load(t, text)
		if err != nil || got.Etcd.History != want {
			t.Errorf("%s: history %v, %v, want %v", text, got.Etcd.History, err, want)
		}
	}
}

// Where clients say who they are, the coursework's API is asked for by name.
func TestCourseworkAmongIdentities(t *testing.T) {
	_, cert, key := pems(t)
	tls := "tls: {cert: " + cert + ", key: " + key + "}\n"
	for text, want := range map[string]string{
		tls:                     "default",
		tls + "auth: {jwt: []}": "default",
		strings.Replace(tls, "}", ", client-ca: "+cert+"}", 1):                           "",
		strings.Replace(tls, "}", ", client-ca: "+cert+"}", 1) + "coursework: {lock: c}": "c",
		tls + "auth: {jwt: [{issuer: i, audience: a, jwks: k}]}":                         "",
	} {
		got, err := load(t, text)
		if err != nil || got.Coursework.Lock != want {
			t.Errorf("%s: lock %q, %v; want %q", text, got.Coursework.Lock, err, want)
		}
	}
	t.Setenv("DLM_AUTH_JWT", `[{"issuer": "i", "audience": "a", "jwks": "/k"}]`)
	if got, err := load(t, tls); err != nil || got.Coursework.Lock != "" || len(got.Auth.JWT) != 1 {
		t.Errorf("issuers in the environment: lock %q, %d issuers, %v", got.Coursework.Lock, len(got.Auth.JWT), err)
	}
}

func TestPasswordFile(t *testing.T) {
	secret := write(t, "password", "s3cret word\r\n")
	text := "etcd: {endpoints: [e:2379], username: u, password-file: " + secret + "}"
	got, err := load(t, text)
	if err != nil || got.Etcd.Password != "s3cret word" {
		t.Fatalf("password %q, %v", got.Etcd.Password, err)
	}
	printed, err := got.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(printed), "s3cret") {
		t.Errorf("the password is printed:\n%s", printed)
	}
	if !strings.Contains(string(printed), `password: (redacted)`) {
		t.Errorf("it is not told that there is a password:\n%s", printed)
	}
	_, err = load(t, strings.Replace(text, "}", ", password: s3cret}", 1))
	if err == nil || !strings.Contains(err.Error(), "not both") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("with both: %v", err)
	}
}

func TestFaults(t *testing.T) {
	for text, want := range map[string][]string{
		"drain: 10":                                     {"drain: 10: want a duration with its unit"},
		`drain: "10"`:                                   {`drain: "10": want a duration with its unit`},
		"drain: 1h":                                     {`drain: "1h": want 0s to 10m`},
		"drain: -1s":                                    {`drain: "-1s": want 0s to 10m`},
		"listen: 50051":                                 {"listen: 50051: want text"},
		`listen: "50051"`:                               {`listen: "50051": want host:port`},
		"listen: localhost:70000":                       {`listen: "localhost:70000": want host:port`},
		"log: {level: loud, format: xml}":               {`log.level: "loud": want debug, info, warn, error`, `log.format: "xml": want`},
		"log: debug":                                    {`log: "debug": want a section`},
		"lisen: a:1":                                    {"lisen: there is no such key"},
		"Listen: a:1":                                   {"Listen: there is no such key"},
		"typo:":                                         {"typo: there is no such key"},
		"etcd: {tls: {cacert: x}, x: {}}":               {"etcd.tls.cacert: there is no such key", "etcd.x: there is no such key"},
		"listen: a:1\nlisten: b:1":                      {"already defined"},
		"- a":                                           {"cannot unmarshal"},
		"etcd: {prefix: dlm}":                           {`etcd.prefix: "dlm": want`},
		"etcd: {timeout: 1ms}":                          {`etcd.timeout: "1ms": want 100ms to 5m`},
		"etcd: {history: 1s}":                           {`etcd.history: "1s": want 10s to 24h`},
		"etcd: {history: 0s}":                           {"would fill up"},
		"etcd: {username: u}":                           {"etcd.username", "a password", "etcd.endpoints"},
		"etcd: {password: s3cret}":                      {"etcd.password", "etcd.username"},
		"etcd: {password: 5318008531800}":               {"etcd.password", "quotes"},
		"etcd: {password-file: /no/such}":               {`etcd.password-file: "/no/such": no such file`},
		"etcd: {tls: {cert: c}}":                        {"etcd.tls.cert", "both"},
		"etcd: {endpoints: [e]}":                        {`etcd.endpoints: "e": want`},
		"etcd: {endpoints: [1]}":                        {"etcd.endpoints", "a list of texts"},
		"etcd: {endpoints: ['https://u:p@e:1']}":        {"want host:port"},
		"etcd: {endpoints: [ftp://e:1]}":                {`etcd.endpoints: "ftp://e:1": want`},
		"etcd: {endpoints: [http://e:1], tls: {ca: c}}": {`"http://e:1": want https://`},
		"etcd: {endpoints: [e:1]}\ncluster: {quota: 99999999, name: n}": {`cluster.name: "n": not together`, `cluster.quota: "99999999": not together`},
		"cluster: {quota: 1000}":           {`cluster.quota: "1KB": want 16MiB to 16GiB`},
		"cluster: {quota: 17GiB}":          {`cluster.quota: "17GiB": want 16MiB to 16GiB`},
		"cluster: {quota: -1GiB}":          {`cluster.quota: "-1GiB": want 16MiB to 16GiB`},
		"cluster: {quota: 4 gigs}":         {`cluster.quota: "4 gigs": want a whole number of bytes`},
		"cluster: {quota: 1.5GiB}":         {`cluster.quota: "1.5GiB": want a whole number`},
		"cluster: {quota: 1.5}":            {`cluster.quota: 1.5: want a whole number`},
		"cluster: {quota: 99999999999GiB}": {`cluster.quota: "99999999999GiB": want`},
		"cluster: {quota: GiB}":            {`cluster.quota: "GiB": want`},
		"listen: a:1\n---\nlisten: b:1":    {"a second document begins at line"},
		"---\n---\nlisten: b:1":            {"a second document begins at line"},
		"listen: a:1\n--- {":               {"dlm.yaml: yaml: "},
		"etcd: {endpoints: [e:1], tls: {ca: /no/such, cert: /no/cert, key: /no/key}}":                                     {`etcd.tls.ca: "/no/such": no such file`, `etcd.tls.cert: "/no/cert": no`, `etcd.tls.key: "/no/key": no`},
		"cluster: {members: [a=a:1], name: a, peer-listen: ':1', tls: {ca: /, cert: /dev/null, key: /proc/self/cmdline}}": {`cluster.tls.ca: "/": it is a directory`, `cluster.tls.cert: "/dev/null": it is not a regular`, `cluster.tls.key: "/proc/self/cmdline": there is no PEM`},
		"cluster: {state: maybe}":                                               {`cluster.state: "maybe": want new, existing`},
		"cluster: {state: existing}":                                            {"cluster.state", "cluster.members"},
		"cluster: {peer-listen: ':1'}":                                          {`cluster.peer-listen: ":1": want cluster.members`},
		"cluster: {members: [dlm=a:1]}":                                         {`cluster.peer-listen: "": want host:port`},
		"cluster: {members: [a=a:1, b]}":                                        {"cluster.peer-listen", `cluster.members: "b": want name=host:port`, `cluster.name: "dlm": want one of`},
		"cluster: {members: [a=a:1, a=b:1, b=a:1], name: a, peer-listen: ':1'}": {`"a=b:1": want each`, `"b=a:1": want each`},
		"cluster: {members: [a=a:1, b=b:1], name: a, peer-listen: ':1', peer-advertise: x:1}": {`"x:1": want the address in cluster.members, "a:1"`},
		"cluster: {members: [a=a:1], name: a, peer-listen: ':1', tls: {cert: c}}":             {"cluster.tls", "all three"},
		"cluster: {tls: {ca: a, cert: c, key: k}}":                                            {"cluster.tls", "cluster.members"},
		"cluster: {members: [a=a:1], name: a, peer-listen: ':1', tls: {crl: /}}":              {"cluster.tls", "all three", `cluster.tls.crl: "/": it is a directory`},
		"cluster: {tls: {crl: deploy}}":                                                       {"cluster.tls", "all three"},
		"etcd: {tls: {crl: l}}":                                                               {"etcd.tls.crl: there is no such key"},
		"cluster: {client-listen: ':2379'}":                                                   {"cluster.client-listen", "loopback"},
		"listen: 10.0.0.1:1":                                                                  {`listen: "10.0.0.1:1": want tls.cert and tls.key, or insecure: true`},
		"listen: ':1'\ntls: {cert: c}":                                                        {"tls.cert", "both"},
		"cluster: {members: [a=a:1], name: a, peer-listen: ':1'}":                             {`cluster.peer-listen: ":1": want cluster.tls, or insecure: true`},
		"tls: {client-ca: c}":                                                                 {"tls.client-ca", "tls.cert with it"},
		"tls: {client-auth: request}":                                                         {"tls.client-auth", "tls.client-ca with it"},
		"tls: {client-auth: maybe}":                                                           {`tls.client-auth: "maybe": want auto, none`},
		"tls: {crl: c}":                                                                       {"tls.crl", "tls.client-ca with it"},
		"auth: {identity: email}":                                                             {`auth.identity: "email": want spiffe, dns, cn`},
		"auth: {policy: p}":                                                                   {"auth.policy", "who calls"},
		"hold: {max: [{prefix: a, max-hold: 10}]}":                                            {"hold.max", "with its unit"},
		"hold: {max: [{prefix: a, max-hold: soon}]}":                                          {"hold.max", "with its unit"},
		"hold: {max: [{prefix: a}]}":                                                          {"hold.max", "with its unit"},
		"hold: {max: [{max-hold: 1h}]}":                                                       {"hold.max", "a prefix of names"},
		"hold: {max: [{prefix: a, hold: 1h}]}":                                                {"hold.max", "prefix and max-hold"},
		"hold: {max: {a: 1h}}":                                                                {"hold.max", "a list of sections"},
		"hold: {max: [{prefix: a*, max-hold: 1h}]}":                                           {"hold.max", "without a star"},
		"hold: {max: [{prefix: a, max-hold: 1ns}]}":                                           {"hold.max", "1s to 24h"},
		"hold: {max: [{prefix: a, max-hold: -1h}]}":                                           {"hold.max", "1s to 24h"},
		"hold: {max: [{prefix: a, max-hold: 2000000h}]}":                                      {"hold.max", "1s to 24h"},
		"hold: {max: [{prefix: a, max-hold: 1h}, {prefix: a, max-hold: 2h}]}":                 {"hold.max", "each prefix once"},
		"auth: {jwt: [{issuer: i, audience: a, jwks: k, alg: x}]}":                            {"auth.jwt", "a list of sections"},
		"listen: ':1'\nauth: {jwt: [{issuer: i, audience: a, jwks: k}]}":                      {"auth.jwt", "tls.cert with it"},
		"admin: {listen: '9'}":                                                                {`admin.listen: "9": want host:port`},
		"admin: {listen: ':9'}":                                                               {`admin.listen: ":9": want tls.cert and tls.key, or insecure: true`},
		"admin: {pprof: true}":                                                                {"admin.pprof", "admin.listen with it"},
		"metrics: {prefixes: [a, b/, //c, \"d\\u0007\", a]}":                                  {`"b/": want`, `"//c": want`, `"d\a": want`, `"a": want each prefix once`},
		"metrics: {prefixes: [" + strings.Repeat("a,", 51) + "]}":                             {"metrics.prefixes: 51: want at most 50"},
		"audit: {required: true}":                                                             {"audit.required", "audit.file with it"},
		"cluster: {client-listen: 10.0.0.1:2379}":                                             {"cluster.client-listen", "loopback"},
	} {
		t.Run(text, func(t *testing.T) {
			_, err := load(t, text)
			if err == nil {
				t.Fatal("no fault was found")
			}
			for _, part := range want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "5318008") {
				t.Errorf("%q tells a secret", err)
			}
		})
	}
}

// pems are an authority, a certificate and its key.
func pems(t *testing.T) (ca, cert, key string) {
	t.Helper()
	dir, authority := t.TempDir(), certstest.New(t)
	cert, key = authority.Issue(t, certstest.Spec{}).WriteTo(t, dir)
	return authority.WriteTo(t, dir), cert, key
}

// Files that are named are looked into.
func TestFilesOfTLS(t *testing.T) {
	ca, cert, key := pems(t)
	_, _, otherKey := pems(t)
	both := func(a, b string) string {
		t.Helper()
		texts := ""
		for _, file := range []string{a, b} {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts += string(text)
		}
		return write(t, "both.pem", texts)
	}
	broken := write(t, "broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	for name, c := range map[string]struct {
		files config.TLS
		want  string // a part of the fault; empty: there is none
	}{
		"good":                  {config.TLS{CA: ca, Cert: cert, Key: key}, ""},
		"several authorities":   {config.TLS{CA: both(ca, cert), Cert: cert, Key: key}, ""},
		"certificate and key":   {config.TLS{CA: ca, Cert: both(key, cert), Key: both(key, cert)}, ""},
		"another's key":         {config.TLS{CA: ca, Cert: cert, Key: otherKey}, "etcd.tls.key: " + strconv.Quote(otherKey) + ": with " + cert + ": tls: private key does not match"},
		"key for authority":     {config.TLS{CA: key, Cert: cert, Key: key}, "etcd.tls.ca: " + strconv.Quote(key) + ": there is a PRIVATE KEY in it"},
		"broken authority":      {config.TLS{CA: broken, Cert: cert, Key: key}, "etcd.tls.ca: " + strconv.Quote(broken) + ": x509"},
		"broken certificate":    {config.TLS{CA: ca, Cert: broken, Key: key}, "etcd.tls.cert: " + strconv.Quote(broken) + ": x509"},
		"key for a certificate": {config.TLS{CA: ca, Cert: key, Key: key}, "etcd.tls.cert: " + strconv.Quote(key) + ": there is no PEM CERTIFICATE"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, fmt.Sprintf("etcd: {endpoints: [e:1], tls: {ca: %s, cert: %s, key: %s}}", c.files.CA, c.files.Cert, c.files.Key))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("the fault is %v, want only %q", err, c.want)
			}
		})
	}
}

func TestFilesOfRevokedPeers(t *testing.T) {
	ca, cert, key := pems(t)
	for name, c := range map[string]struct {
		content, want string
	}{
		"a list":               {string(certstest.New(t).CRL(t)), ""},
		"several lists":        {string(certstest.New(t).CRL(t)) + string(certstest.New(t).CRL(t)), ""},
		"no list":              {"", "there is no PEM X509 CRL in it"},
		"a certificate":        {string(certstest.New(t).PEM()), "there is a CERTIFICATE in it"},
		"one that is not read": {"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "x509"},
	} {
		t.Run(name, func(t *testing.T) {
			crl := write(t, "crl.pem", c.content)
			_, err := load(t, fmt.Sprintf("cluster: {members: [a=a:1], name: a, peer-listen: ':1', tls: {ca: %s, cert: %s, key: %s, crl: %s}}", ca, cert, key, crl))
			want := "cluster.tls.crl: " + strconv.Quote(crl) + ": " + c.want
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
				t.Errorf("the fault is %v, want %q", err, c.want)
			}
		})
	}
}

// A variable that is set and empty overrides, where that means something, and is named where it
// does not.
func TestEmptyVariables(t *testing.T) {
	mayBe := map[string]bool{"coursework.lock": true, "auth.jwt": true}
	for _, key := range config.Keys() {
		if key.Default == "" {
			mayBe[key.Name] = true
		}
	}
	for _, key := range config.Keys() {
		t.Run(key.Name, func(t *testing.T) {
			t.Setenv(config.Env(key.Name), "")
			_, err := config.Load(nil, "")
			switch {
			case mayBe[key.Name] && err != nil:
				t.Errorf("empty, which is its default or means something: %v", err)
			case !mayBe[key.Name] && key.Default != "" && (err == nil || !strings.Contains(err.Error(), config.Env(key.Name)+" is set, and empty")):
				t.Errorf("empty: %v, want the variable's name", err)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]string{
		"4GiB": "4GiB", "4 GiB": "4GiB", "4294967296": "4GiB", "512MiB": "512MiB", "1048576KiB": "1GiB",
		"4GB": "4GB", "100MB": "100MB", "100000001": "100000001", "20001KB": "20001KB", "20000000": "20MB",
	} {
		cfg, err := load(t, "cluster: {quota: "+text+"}")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		printed, err := cfg.YAML()
		if err != nil || !strings.Contains(string(printed), "  quota: "+want+"\n") {
			t.Errorf("%s is printed as\n%s%v, want %s", text, printed, err, want)
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Setenv("DLM_ETCD_TIMEOUT", "soon")
	_, err := load(t, "drain: 5\nlisten: here\nmistake: 1\nlog: {level: loud}\ncluster: {peer-listen: ':1', quota: 1}\n")
	if err == nil {
		t.Fatal("no fault was found")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, key := range []string{"drain", "listen", "mistake", "log.level", "cluster.peer-listen", "cluster.quota", "etcd.timeout"} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, key+": ") }) {
			t.Errorf("%s is not among the faults:\n%v", key, err)
		}
	}
	if len(lines) != 7 {
		t.Errorf("%d faults, want 7:\n%v", len(lines), err)
	}
}

func TestMissingFileIsAFault(t *testing.T) {
	if _, err := config.Load(nil, filepath.Join(t.TempDir(), "none.yaml")); err == nil {
		t.Error("a file that is not there was loaded")
	}
}

func TestMemberMap(t *testing.T) {
	got, err := config.Cluster{Members: []string{"a=h:1", "b=[::1]:2"}}.MemberMap()
	if want := map[string]string{"a": "h:1", "b": "[::1]:2"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("MemberMap = %v, %v, want %v", got, err, want)
	}
	for _, members := range [][]string{{"a"}, {"=h:1"}, {"a=h"}, {"a=:1"}, {"a=h:1", "a=h:2"}} {
		if got, err := (config.Cluster{Members: members}).MemberMap(); err == nil {
			t.Errorf("MemberMap of %q = %v, want an error", members, got)
		}
	}
}

// The README's table is what Table says.
func TestReadmeHasTheTable(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), config.Table()) {
		t.Errorf("README.md does not have this table:\n%s", config.Table())
	}
}
