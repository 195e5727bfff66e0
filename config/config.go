package config

import (
	"time"
)

// Config is the configuration of a server. Keys lists what each field means.
type Config struct {
	Listen  string
	DataDir string
	Drain   time.Duration
	Log     Log
	Etcd    Etcd
	Cluster Cluster
	Limits  Limits
	Hold    Hold

	Coursework Coursework

	Admin   Admin
	Metrics Metrics

	Insecure   bool // plain text is meant, also beyond this machine
	Reflection bool
	TLS        ServerTLS
	Auth       Auth
	Audit      Audit

	file string // with the password, that Load has read; empty: there is none in a file
}

// Log says what is logged, and how.
type Log struct {
	Level  string
	Format string
}

// Etcd says which etcd is used, and how.
type Etcd struct {
	Endpoints    []string // none: the embedded one
	Username     string
	Password     string // Load fills it from PasswordFile
	PasswordFile string
	Prefix       string
	Timeout      time.Duration
	History      time.Duration
	TLS          TLS
}

// Cluster says how the embedded etcd is run.
type Cluster struct {
	Name          string
	PeerListen    string
	PeerAdvertise string
	Members       []string // name=host:port
	State         string
	ClientListen  string
	Quota         int64
	TLS           TLS
}

// Coursework says how the coursework's API behaves.
type Coursework struct {
	Lock string        // its one lock; empty: the API is not served
	TTL  time.Duration // of its clients' sessions
	Hold time.Duration // the hold deadline; 0: none
}

// Admin says where operators and their tools look at the server.
type Admin struct {
	Listen string // empty: nowhere
	Pprof  bool
}

// Metrics says what metrics tell apart.
type Metrics struct {
	Prefixes []string // of lock names
}

// TLS names PEM files.
type TLS struct {
	CA   string
	Cert string
	Key  string
	CRL  string // of cluster.tls only
}

// Default is what holds when nothing is configured.
func Default() Config {
	return Config{
		Listen:  "127.0.0.1:50051",
		DataDir: "./dlm-data",
		Drain:   10 * time.Second,
		Log:     Log{Level: "info", Format: "auto"},
		Etcd: Etcd{
			Prefix:  "/dlm/",
			Timeout: 5 * time.Second,
			History: 3 * time.Minute,
		},
		Cluster: Cluster{
			Name:  "dlm",
			State: "new",
			Quota: 4 << 30,
		},
		Limits:     defaultLimits(),
		Reflection: true,
		TLS:        ServerTLS{ClientAuth: "auto"},
		Auth:       Auth{Identity: "spiffe"},
		Coursework: Coursework{
			Lock: "default",
			TTL:  60 * time.Second,
			Hold: 120 * time.Second,
		},
	}
}

// External reports whether the server uses an etcd that is not its own.
func (c Config) External() bool { return len(c.Etcd.Endpoints) > 0 }
