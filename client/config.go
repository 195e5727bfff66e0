package client

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/internal/dial"
)

// Defaults of Config.
const (
	DefaultEndpoint       = "127.0.0.1:50051"
	DefaultTTL            = 10 * time.Second
	DefaultConnectTimeout = 10 * time.Second
)

// What the servers take. A test holds it equal to what they say themselves.
const (
	minTTL    = 2 * time.Second
	maxTTL    = 10 * time.Minute
	minLinger = time.Second
	maxLabel  = 128 // bytes
)

const (
	minMargin  = 300 * time.Millisecond
	maxMessage = 4 << 20  // bytes of one call; one that no server receives breaks the stream for all
	maxAnswer  = 16 << 20 // bytes of one answer
	maxPiece   = 1 << 20  // bytes of a file that one call reads
	minConnect = 10 * time.Millisecond
	minStall   = 100 * time.Millisecond
	maxStall   = 3 * time.Second // the longest that a server may be silent while it owes an answer
)

// Config is what a [Client] needs to know. The zero value is usable.
type Config struct {
	// Endpoints are servers, host:port, in order of preference. The client stays with one while it
	// works. All are to be of one cluster: once a session was begun, one that is of another is
	// passed over, and an error only if no other can be asked. One that is named twice counts once.
	// None: DefaultEndpoint.
	Endpoints []string
	// TTL is how long a session outlives its last heartbeat, 2 s to 10 min; servers may grant more.
	// A heartbeat is sent every third of it, and a thirtieth of it after one that failed. 0:
	// DefaultTTL.
	TTL time.Duration
	// Linger is how long a session outlives the client's stream, once the server has seen that the
	// client's side closed it: 1 s to the TTL. So a process that was killed is not waited for until
	// its TTL is over, while one that was stopped, or cut off, still has all of it. 0: sessions do
	// not linger, and live their TTL.
	//
	// A proxy, sidecar or NAT in between that closes connections looks like the client's own side,
	// to the server: the session ends, unless the client has come back within Linger. It does so at
	// once, but give it time where connections are cut often. A lock is then held for certain only
	// for three quarters of Linger after the stream ended, or after half of it has passed over an
	// unanswered heartbeat, until the next one is answered; with nothing in between, and as long as
	// the server does the closing, that is left out. What a proxy closes on the server's side
	// alone, the client learns of by that heartbeat at the earliest: so long, work that is not
	// fenced by [Lock.Token] may overlap with the next holder's. Heartbeats are sent at least every
	// 5 s.
	Linger time.Duration
	// ConnectTimeout is how long a call that holds nothing looks for a server before it fails with
	// [ErrUnavailable], 10 ms at least. A bounded wait for a lock may end that before: see
	// [WithWait]. 0: DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// Label says who this is, for the eyes of operators: UTF-8 without control characters, 128
	// bytes at most. Empty: user@host:pid, the user as $USER or $LOGNAME says, or its number.
	Label string
	// Logger is told of moves between servers and of lost sessions. nil: nothing is logged.
	Logger *slog.Logger
	// Hooks are told what the client does, for traces and metrics.
	Hooks Hooks
	// TLS is how servers are reached: see [TLSFromFiles]. The server has to be the one that the
	// endpoint names, which is localhost where that has no host, or TLS.ServerName if that is set.
	// TLS 1.3 is spoken, unless TLS.MinVersion says otherwise. nil: plain text, and whoever is in
	// between reads and changes everything, credentials included.
	TLS *tls.Config
	// BearerFile is a file with a token that says who this is, as a JWT: it is shown to the server
	// with each connection and call, and reread for each. Blanks around it do not count. A token
	// that cannot be read is as one that every server refuses, an [ErrUnauthenticated]. Without TLS
	// every endpoint has to be on this machine. Empty: none is shown.
	BearerFile string
	// Proxy has connections go through the HTTP proxy that the environment names (HTTPS_PROXY,
	// NO_PROXY). It needs TLS: a proxy is to see nothing of what they carry. Without it the
	// environment's proxy is left alone.
	Proxy bool
	// DialOptions are added to the client's own, which are those of TLS, BearerFile and Proxy, and
	// keepalive pings.
	DialOptions []grpc.DialOption
}

// Validate returns an error that names every fault of the configuration, an [ErrInvalidArgument] or
// [ErrInvalidTTL]. It asks no server. [Open] fails with the same error.
func (cfg Config) Validate() error {
	_, err := cfg.withDefaults()
	return err
}

// withDefaults returns the configuration with what was left out, and an error that names every
// fault.
func (cfg Config) withDefaults() (Config, error) {
	var faults []error
	if len(cfg.Endpoints) == 0 {
		cfg.Endpoints = []string{DefaultEndpoint}
	}
	var endpoints []string
	for _, e := range cfg.Endpoints {
		if slices.Contains(endpoints, e) {
			continue // otherwise it would pass for another server to try
		}
		endpoints = append(endpoints, e)
		if err := checkEndpoint(e); err != nil {
			faults = append(faults, err)
		}
	}
	cfg.Endpoints = endpoints
	if cfg.TTL == 0 {
		cfg.TTL = DefaultTTL
	}
	if cfg.TTL < minTTL || cfg.TTL > maxTTL {
		faults = append(faults, fmt.Errorf("%w: %v: want %v to %v", ErrInvalidTTL, cfg.TTL, minTTL, maxTTL))
	}
	if cfg.Linger != 0 && (cfg.Linger < minLinger || cfg.Linger > cfg.TTL) {
		faults = append(faults, fmt.Errorf("%w: linger %v: want %v to the TTL, %v", ErrInvalidArgument, cfg.Linger, minLinger, cfg.TTL))
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = DefaultConnectTimeout
	}
	if cfg.ConnectTimeout < minConnect {
		faults = append(faults, fmt.Errorf("%w: connect timeout %v: want %v at least", ErrInvalidArgument, cfg.ConnectTimeout, minConnect))
	}
	if cfg.Label == "" {
		cfg.Label = defaultLabel()
	}
	if err := checkLabel(cfg.Label); err != nil {
		faults = append(faults, err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Proxy && cfg.TLS == nil {
		faults = append(faults, fmt.Errorf("%w: a proxy without TLS: it would see all that is sent, credentials included", ErrInvalidArgument))
	}
	if cfg.BearerFile != "" && cfg.TLS == nil {
		for _, e := range cfg.Endpoints {
			if checkEndpoint(e) == nil && !dial.IsLoopback(e) {
				faults = append(faults, fmt.Errorf("%w: a bearer token without TLS for %q, which is not on this machine: who is in between could use it",
					ErrInvalidArgument, e))
			}
		}
	}
	if slices.Contains(cfg.DialOptions, nil) {
		faults = append(faults, fmt.Errorf("%w: a dial option is nil", ErrInvalidArgument))
	}
	return cfg, errors.Join(faults...)
}

// checkEndpoint refuses what no server could be reached by. gRPC would take anything and guess a
// port, and each call would look for its whole connect timeout before it said so.
func checkEndpoint(e string) error {
	host, port, err := net.SplitHostPort(e)
	if n, nan := strconv.ParseUint(port, 10, 16); err != nil || nan != nil || n == 0 || !isHost(host) {
		return fmt.Errorf("%w: endpoint %q: want host:port, with a port from 1 to 65535", ErrInvalidArgument, e)
	}
	return nil
}

// isHost reports whether a host can have this name or address. None is this machine.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		odd := strings.ContainsFunc(label, func(r rune) bool {
			return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
		})
		if odd || label == "" || len(label) > 63 {
			return false
		}
	}
	// No top-level domain is a number: what looks like one is an address with a mistake in it.
	_, err := strconv.Atoi(labels[len(labels)-1])
	return err != nil && len(host) <= 254
}

// checkLabel refuses a label as the servers do.
func checkLabel(label string) error {
	if len(label) > maxLabel {
		return fmt.Errorf("%w: label of %d bytes: want at most %d", ErrInvalidArgument, len(label), maxLabel)
	}
	if !utf8.ValidString(label) || strings.ContainsFunc(label, unicode.IsControl) {
		return fmt.Errorf("%w: label %q: want UTF-8 without control characters", ErrInvalidArgument, label)
	}
	return nil
}

// stall is how long a server may owe an answer without saying anything before another one is tried.
func (cfg Config) stall() time.Duration {
	return max(minStall, min(maxStall, cfg.TTL/3, cfg.ConnectTimeout/3))
}

// dialing is how long making a connection may take. A server that cannot be reached must not cost
// more than one that is silent, nor so much that a session lingers out before the next is tried.
func (cfg Config) dialing() time.Duration {
	limit := cfg.stall()
	if cfg.Linger > 0 {
		limit = min(limit, cfg.Linger/4)
	}
	return max(minDial, limit)
}

// marginOf is how long before the lease's earliest end a hold stops being certain: long enough to
// stop what goes on under the lock, short enough to let a late heartbeat come through.
func marginOf(ttl time.Duration) time.Duration {
	return max(ttl/5, minMargin)
}

// lasting reports whether a lease of that length is certain at any moment.
func lasting(ttl time.Duration) bool { return ttl > marginOf(ttl) }

// checkNames refuses names that cannot be encoded: to send one would break the stream for all.
// Every other fault of a name is for the servers to judge.
func checkNames(ss ...string) error {
	for _, s := range ss {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%w: %q is not UTF-8", ErrInvalidName, s)
		}
	}
	return nil
}

// checkText does the same for what is not a name.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: %q is not UTF-8", ErrInvalidArgument, s)
	}
	return nil
}

func defaultLabel() string {
	// As the environment has it: to ask the system may mean to ask the network.
	name, host := cmp.Or(os.Getenv("USER"), os.Getenv("LOGNAME"), strconv.Itoa(os.Getuid())), ""
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	pid := fmt.Sprintf(":%d", os.Getpid())
	label := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name+"@"+host, ""))
	for len(label)+len(pid) > maxLabel {
		_, size := utf8.DecodeLastRuneInString(label)
		label = label[:len(label)-size]
	}
	return label + pid
}
