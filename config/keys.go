package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key is one setting, for documentation.
type Key struct {
	Name    string // as in the file, the sections joined by dots
	Default string // as it would be written in the file; empty: none
	Meaning string // with unit and bounds
}

// setting ties a key to its field. The list of them is the only place that knows all keys.
type setting struct {
	name      string
	field     func(*Config) any // a *string, *[]string, *time.Duration, *int64 (a size), *int, *bool, *[]JWT or *[]HoldMax
	secret    bool
	address   bool // of one or more
	unlimited bool // a number that may be 0, which stands for any number then
	meaning   string
}

func settings() []setting {
	return slices.Concat([]setting{
		{name: "listen", field: func(c *Config) any { return &c.Listen }, address: true,
			meaning: "Address of the service, `host:port`. Without a host: all of the machine's addresses. Beyond loopback it wants `tls.cert`, or `insecure`."},
		{name: "data-dir", field: func(c *Config) any { return &c.DataDir },
			meaning: "Directory of the embedded etcd's data; made if missing. Not used with `etcd.endpoints`."},
		{name: "drain", field: func(c *Config) any { return &c.Drain },
			meaning: "How long a server that was told to stop waits for calls in progress; " + bounds(0, maxDrain) + "."},
		{name: "log.level", field: func(c *Config) any { return &c.Log.Level },
			meaning: "The least severe messages that are logged: `debug`, `info`, `warn` or `error`."},
		{name: "log.format", field: func(c *Config) any { return &c.Log.Format },
			meaning: "`text`, `json`, or `auto`: text on a terminal, else JSON."},
		{name: "etcd.endpoints", field: func(c *Config) any { return &c.Etcd.Endpoints }, address: true,
			meaning: "List of `host:port` or URLs of the members of an external etcd cluster, in the order in which they are tried. Empty: the server runs its own etcd."},
		{name: "etcd.username", field: func(c *Config) any { return &c.Etcd.Username },
			meaning: "User of the external etcd; needs a password."},
		{name: "etcd.password", field: func(c *Config) any { return &c.Etcd.Password }, secret: true,
			meaning: "The user's password. Better in a file."},
		{name: "etcd.password-file", field: func(c *Config) any { return &c.Etcd.PasswordFile },
			meaning: "File with the user's password; newlines at its end do not count."},
		{name: "etcd.prefix", field: func(c *Config) any { return &c.Etcd.Prefix },
			meaning: "What all keys in etcd begin with; begins and ends with `/`. Servers with different prefixes know nothing of each other's locks. One among the keys of another, as `/dlm/locks/x/`, is refused."},
		{name: "etcd.timeout", field: func(c *Config) any { return &c.Etcd.Timeout },
			meaning: "How long connecting to the external etcd may take; " + bounds(minTimeout, maxTimeout) + "."},
		{name: "etcd.history", field: func(c *Config) any { return &c.Etcd.History },
			meaning: "Etcd's history is dropped when it is older than this, not counting outages; " + bounds(minHistory, maxHistory) + ". A call that is repeated later may not be told how its section ended. `0s`: never, which is allowed, and the default, with `etcd.endpoints` only, because others may need it there."},
		{name: "etcd.tls.ca", field: func(c *Config) any { return &c.Etcd.TLS.CA },
			meaning: "PEM file of the authority that signed the external etcd's certificate. Empty: the system's, for `https://` endpoints."},
		{name: "etcd.tls.cert", field: func(c *Config) any { return &c.Etcd.TLS.Cert },
			meaning: "PEM file of this server's certificate for the external etcd; needs the key."},
		{name: "etcd.tls.key", field: func(c *Config) any { return &c.Etcd.TLS.Key },
			meaning: "PEM file of the certificate's key."},
		{name: "cluster.name", field: func(c *Config) any { return &c.Cluster.Name },
			meaning: "This server's name among `cluster.members`."},
		{name: "cluster.members", field: func(c *Config) any { return &c.Cluster.Members }, address: true,
			meaning: "List of `name=host:port`, the peer address of every server of the cluster, this one included. Empty: a single server."},
		{name: "cluster.peer-listen", field: func(c *Config) any { return &c.Cluster.PeerListen }, address: true,
			meaning: "Address on which this server's etcd listens for its peers, `host:port`. Without a host: all of the machine's addresses."},
		{name: "cluster.peer-advertise", field: func(c *Config) any { return &c.Cluster.PeerAdvertise }, address: true,
			meaning: "Address that the peers reach this server by. Empty: what `cluster.members` says of it; anything else is a fault."},
		{name: "cluster.state", field: func(c *Config) any { return &c.Cluster.State },
			meaning: "`new`: the members found a cluster together, once all of them run and none has data. `existing`: this server was added to one with `dlm member add`. Only looked at while `data-dir` is empty."},
		{name: "cluster.client-listen", field: func(c *Config) any { return &c.Cluster.ClientListen }, address: true,
			meaning: "Loopback address, `host:port`, on which etcd's own protocol is served, without protection, for `etcdctl`. Empty: not at all."},
		{name: "cluster.quota", field: func(c *Config) any { return &c.Cluster.Quota },
			meaning: "How large the embedded etcd's database may become; `" + FormatSize(minQuota) + "` to `" + FormatSize(maxQuota) + "`. In bytes, KiB, MiB, GiB, KB, MB or GB."},
		{name: "cluster.tls.ca", field: func(c *Config) any { return &c.Cluster.TLS.CA },
			meaning: "PEM file of the authority that signs the peers' certificates, and nothing else. It, the certificate and the key: all three or none. It is read at the start only: for another authority give all servers a file with both, and restart one after the other, before the first certificate changes."},
		{name: "cluster.tls.cert", field: func(c *Config) any { return &c.Cluster.TLS.Cert },
			meaning: "PEM file of this server's certificate, shown to its peers as server and as client. It is read again for each connection, as is the key."},
		{name: "cluster.tls.key", field: func(c *Config) any { return &c.Cluster.TLS.Key },
			meaning: "PEM file of the certificate's key."},
		{name: "cluster.tls.crl", field: func(c *Config) any { return &c.Cluster.TLS.CRL },
			meaning: "PEM file with lists (CRLs) of peers' certificates that are revoked, reread when it changes: connections of who shows one are refused from then on. Their own are still made to a member whose certificate is revoked: remove it with `dlm member remove`."},
		{name: "coursework.lock", field: func(c *Config) any { return &c.Coursework.Lock },
			meaning: "The one lock of the coursework's API, `lock_service.LockService`. Empty, which is the default where clients say who they are: that API is not served."},
		{name: "coursework.ttl", field: func(c *Config) any { return &c.Coursework.TTL },
			meaning: "How long a client of that API outlives its last call; " + bounds(minTTL, maxTTL) + "."},
		{name: "coursework.hold", field: func(c *Config) any { return &c.Coursework.Hold },
			meaning: "How long a client of that API may hold the lock, counted from the grant, before it is evicted; " + bounds(minHold, maxHold) + ", or `0s`: for ever."},
		{name: "admin.listen", field: func(c *Config) any { return &c.Admin.Listen }, address: true,
			meaning: "Address of `/livez`, `/readyz`, `/metrics`, `/version` and the web page, `host:port`, over HTTP: such as `127.0.0.1:9090`. It speaks TLS and knows its callers as the service does, and beyond loopback wants `tls.cert`, or `insecure`. Empty: not at all."},
		{name: "admin.pprof", field: func(c *Config) any { return &c.Admin.Pprof },
			meaning: "`true`: `/debug/pprof/` is there as well, for profiles of the process."},
		{name: "metrics.prefixes", field: func(c *Config) any { return &c.Metrics.Prefixes },
			meaning: "List of prefixes of lock names, by whole segments, that metrics count by themselves, at most " + strconv.Itoa(maxPrefixes) + ". All other locks count together."},
	}, holdSettings(), accessSettings(), limitSettings())
}

// Keys lists all settings in the order of the documentation.
func Keys() []Key {
	def := Default()
	var keys []Key
	for _, s := range settings() {
		keys = append(keys, Key{Name: s.name, Default: written(s.field(&def)), Meaning: s.meaning})
	}
	return keys
}

// Table is the documentation of all settings as a Markdown table.
func Table() string {
	var b strings.Builder
	b.WriteString("| Key | Default | Meaning |\n|---|---|---|\n")
	for _, k := range Keys() {
		def := ""
		if k.Default != "" {
			def = "`" + k.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, def, k.Meaning)
	}
	return b.String()
}

// Env is the environment variable of a key.
func Env(key string) string {
	return "DLM_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

// Flag is the command-line flag of a key, without the dashes.
func Flag(key string) string { return strings.ReplaceAll(key, ".", "-") }

// written is a field as it would be written in the environment.
func written(field any) string {
	switch f := field.(type) {
	case *[]string:
		return strings.Join(*f, ",")
	case *time.Duration:
		return duration(*f)
	case *int64:
		return FormatSize(*f)
	case *int:
		return strconv.Itoa(*f)
	case *[]JWT:
		return writtenList(*f)
	case *[]HoldMax:
		return writtenList(holdTexts(*f))
	case *bool:
		return strconv.FormatBool(*f)
	case *string:
		return *f
	}
	panic(fmt.Sprintf("no setting is a %T", field))
}

// bounds says what a duration may be, in Markdown.
func bounds(least, most time.Duration) string {
	return "`" + duration(least) + "` to `" + duration(most) + "`"
}

// duration is d without the zero parts that its String has: 3m, not 3m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
