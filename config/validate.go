package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The bounds of settings. Those of a session and of a hold are the store's, which this package does
// not know: a test of cmd/dlm, which knows both, holds them together.
const (
	maxDrain   = 10 * time.Minute
	minTimeout = 100 * time.Millisecond
	maxTimeout = 5 * time.Minute
	minTTL     = 2 * time.Second
	maxTTL     = 10 * time.Minute
	minHold    = time.Second
	maxHold    = 24 * time.Hour
	minHistory = 10 * time.Second
	maxHistory = 24 * time.Hour
	minQuota   = 16 << 20
	maxQuota   = 16 << 30
	maxPrefix  = 255
)

// Validate checks each value and what they say together, but not the files that are named. The
// error names every fault, one a line.
func (c Config) Validate() error { return c.faults().err() }

func (c Config) faults() (f faults) {
	f.check(isHostPort(c.Listen), "listen", c.Listen, "host:port")
	f.check(c.External() || c.DataDir != "", "data-dir", c.DataDir, "a directory")
	f.between("drain", c.Drain, 0, maxDrain)
	f.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	f.oneOf("log.format", c.Log.Format, "auto", "text", "json")
	c.Etcd.validate(&f)
	if c.External() {
		c.Cluster.absent(&f)
	} else {
		c.Etcd.embedded(&f)
		c.Cluster.validate(&f)
	}
	c.Coursework.validate(&f)
	c.Admin.validate(&f)
	c.Metrics.validate(&f)
	c.Limits.validate(&f)
	c.Hold.validate(&f)
	c.validateAccess(&f)
	return f
}

// maxPrefixes is how many prefixes metrics tell apart: each makes some 150 series.
const maxPrefixes = 50

func (a Admin) validate(f *faults) {
	f.check(a.Listen == "" || isHostPort(a.Listen), "admin.listen", a.Listen, "host:port")
	f.check(!a.Pprof || a.Listen != "", "admin.pprof", a.Pprof, "admin.listen with it")
}

func (m Metrics) validate(f *faults) {
	f.check(len(m.Prefixes) <= maxPrefixes, "metrics.prefixes", len(m.Prefixes), fmt.Sprintf("at most %d", maxPrefixes))
	seen := map[string]bool{}
	for _, p := range m.Prefixes {
		good := p != "" && len(p) <= maxPrefix && !strings.HasPrefix(p, "/") && !strings.HasSuffix(p, "/") && !strings.Contains(p, "//")
		for _, r := range p {
			good = good && unicode.IsPrint(r)
		}
		f.check(good && utf8.ValidString(p), "metrics.prefixes", p,
			fmt.Sprintf("what lock names begin with, whole segments without a slash at either end, at most %d bytes", maxPrefix))
		f.check(!seen[p], "metrics.prefixes", p, "each prefix once")
		seen[p] = true
	}
}

func (c Coursework) validate(f *faults) {
	f.between("coursework.ttl", c.TTL, minTTL, maxTTL)
	if c.Hold != 0 {
		f.between("coursework.hold", c.Hold, minHold, maxHold)
	}
}

// validate checks what holds for any etcd.
func (e Etcd) validate(f *faults) {
	for _, endpoint := range e.Endpoints {
		if err := CheckEtcdEndpoint(endpoint); err != nil {
			*f = append(*f, fault{key: "etcd.endpoints", text: err.Error()})
		}
		f.check(!strings.HasPrefix(endpoint, "http://") || e.TLS == TLS{}, "etcd.endpoints", endpoint, "https://, because etcd.tls is given")
	}
	f.check(e.Username == "" || e.Password != "" || e.PasswordFile != "", "etcd.username", e.Username, "a password with it")
	f.check(e.Username != "" || e.Password == "", "etcd.password", redacted, "etcd.username with it")
	f.check(len(e.Prefix) > 1 && strings.HasPrefix(e.Prefix, "/") && strings.HasSuffix(e.Prefix, "/") && len(e.Prefix) <= 255,
		"etcd.prefix", e.Prefix, "text that begins and ends with /, 2 to 255 bytes")
	f.between("etcd.timeout", e.Timeout, minTimeout, maxTimeout)
	if e.History != 0 {
		f.between("etcd.history", e.History, minHistory, maxHistory)
	}
	f.check((e.TLS.Cert == "") == (e.TLS.Key == ""), "etcd.tls.cert", e.TLS.Cert, "both etcd.tls.cert and etcd.tls.key, or none")
}

// CheckEtcdEndpoint returns an error if no etcd can be reached by an endpoint.
func CheckEtcdEndpoint(endpoint string) error {
	addr, good := endpoint, true
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		rest := *u
		rest.Scheme, rest.Host, rest.Path, rest.RawPath = "", "", "", ""
		addr, good = u.Host, (u.Scheme == "http" || u.Scheme == "https") && strings.Trim(u.Path, "/") == "" && rest == url.URL{}
	}
	if !good || !IsPeerAddress(addr) {
		return fmt.Errorf("%q: want host:port, http://host:port or https://host:port", withoutUser(endpoint))
	}
	return nil
}

// withoutUser is an address for people. If it looks as if there were a user's password in it, only
// what is surely none is shown.
func withoutUser(addr string) string {
	if !strings.ContainsAny(addr, "@?#") {
		return addr
	}
	if i := strings.LastIndex(addr, "@"); i >= 0 && isHostPort(addr[i+1:]) {
		return redacted + addr[i:]
	}
	return redacted
}

// IsPeerAddress reports whether another machine can be reached by addr: it has a host, and a
// numeric port that is not 0.
func IsPeerAddress(addr string) bool {
	host, port, _ := net.SplitHostPort(addr)
	return isHostPort(addr) && host != "" && strings.Trim(port, "0") != ""
}

// IsLoopback reports whether addr, host:port, can be reached from this machine only.
func IsLoopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// embedded checks what holds without an external etcd.
func (e Etcd) embedded(f *faults) {
	const want = "etcd.endpoints with it"
	f.check(e.Username == "", "etcd.username", e.Username, want)
	f.check(e.TLS.CA == "", "etcd.tls.ca", e.TLS.CA, want)
	f.check(e.TLS.Cert == "", "etcd.tls.cert", e.TLS.Cert, want)
	f.check(e.History != 0, "etcd.history", duration(e.History), fmt.Sprintf("%s to %s, because the embedded etcd would fill up",
		duration(minHistory), duration(maxHistory)))
}

// absent checks that nothing is said of a cluster that is not run.
func (c Cluster) absent(f *faults) {
	def, cfg := Default(), Config{Cluster: c}
	for _, s := range settings() {
		if got := written(s.field(&cfg)); strings.HasPrefix(s.name, "cluster.") && got != written(s.field(&def)) {
			*f = append(*f, fault{key: s.name, text: shown(s.name, got) + ": not together with etcd.endpoints, which is another cluster"})
		}
	}
}

func (c Cluster) validate(f *faults) {
	f.check(c.Name != "" && !strings.ContainsAny(c.Name, "=, \t"), "cluster.name", c.Name, "a name without spaces, = and ,")
	f.oneOf("cluster.state", c.State, "new", "existing")
	f.check(c.Quota >= minQuota && c.Quota <= maxQuota, "cluster.quota", FormatSize(c.Quota), FormatSize(minQuota)+" to "+FormatSize(maxQuota))
	if c.ClientListen != "" {
		f.check(isHostPort(c.ClientListen) && IsLoopback(c.ClientListen), "cluster.client-listen", c.ClientListen, "host:port with a loopback host, because the port is unprotected")
	}
	tls := c.TLS != TLS{}
	f.check(!tls || c.TLS.CA != "" && c.TLS.Cert != "" && c.TLS.Key != "", "cluster.tls", c.TLS, "all three of ca, cert and key, or none")
	if len(c.Members) == 0 {
		const want = "cluster.members with it"
		f.check(c.PeerListen == "", "cluster.peer-listen", c.PeerListen, want)
		f.check(c.PeerAdvertise == "", "cluster.peer-advertise", c.PeerAdvertise, want)
		f.check(c.State != "existing", "cluster.state", c.State, want)
		f.check(!tls, "cluster.tls", c.TLS, want)
		return
	}
	f.check(isHostPort(c.PeerListen), "cluster.peer-listen", c.PeerListen, "host:port, because cluster.members is given")
	members, addrs := map[string]string{}, map[string]bool{}
	for _, member := range c.Members {
		name, addr, ok := splitMember(member)
		f.check(ok, "cluster.members", member, wantMember)
		_, twice := members[name]
		f.check(!twice && !addrs[addr], "cluster.members", member, "each name and each address once")
		members[name], addrs[addr] = addr, true
	}
	own, listed := members[c.Name]
	f.check(listed, "cluster.name", c.Name, "one of the names in cluster.members")
	f.check(!listed || c.PeerAdvertise == "" || c.PeerAdvertise == own, "cluster.peer-advertise", c.PeerAdvertise,
		"the address in cluster.members, "+shown("cluster.members", own))
}

const wantMember = "name=host:port"

func splitMember(member string) (name, addr string, ok bool) {
	name, addr, _ = strings.Cut(member, "=")
	return name, addr, name != "" && IsPeerAddress(addr)
}

// MemberMap is cluster.members by name. It fails on what Validate would have found.
func (c Cluster) MemberMap() (map[string]string, error) {
	addrs := map[string]string{}
	for _, member := range c.Members {
		name, addr, ok := splitMember(member)
		if _, twice := addrs[name]; !ok || twice {
			return nil, wrong("cluster.members", member, wantMember+", each name once")
		}
		addrs[name] = addr
	}
	return addrs, nil
}

// fault is what is wrong with the value of a key.
type fault struct {
	key, text string
	from      string // where the value comes from, if that is to be told
}

func (f fault) Error() string { return f.key + ": " + f.text + f.from }

// wrong is the fault of a value that is not what is wanted.
func wrong(key string, value any, want string) fault {
	return fault{key: key, text: fmt.Sprintf("%s: want %s", shown(key, value), want)}
}

// shown is a value for people.
func shown(key string, value any) string {
	text, is := value.(string)
	if !is {
		text = fmt.Sprintf("%+v", value)
	}
	if slices.ContainsFunc(settings(), func(s setting) bool { return s.name == key && s.address }) {
		text = withoutUser(text)
	}
	if is {
		text = strconv.Quote(text)
	}
	return text
}

// faults collects what is wrong.
type faults []fault

// err is an error that names every fault, one a line; nil: there is none.
func (f faults) err() error {
	var all []error
	for _, one := range f {
		all = append(all, one)
	}
	return errors.Join(all...)
}

func (f *faults) check(ok bool, key string, value any, want string) {
	if !ok {
		*f = append(*f, wrong(key, value, want))
	}
}

func (f *faults) between(key string, d, least, most time.Duration) {
	f.check(d >= least && d <= most, key, duration(d), duration(least)+" to "+duration(most))
}

func (f *faults) oneOf(key, value string, choices ...string) {
	f.check(slices.Contains(choices, value), key, value, strings.Join(choices, ", "))
}

// isHostPort reports whether addr has a numeric port and maybe a host.
func isHostPort(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || strings.ContainsAny(host, " /=,@") {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
