package client

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/user"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc"
)

// Defaults of Config.
const (
	DefaultEndpoint       = "127.0.0.1:50051"
	DefaultTTL            = 10 * time.Second
	DefaultConnectTimeout = 10 * time.Second
)

const (
	maxLabel   = 128 // bytes
	minMargin  = 300 * time.Millisecond
	maxMessage = 4 << 20  // bytes of one call; one that no server receives breaks the stream for all
	maxAnswer  = 16 << 20 // bytes of one answer
	maxPiece   = 1 << 20  // bytes of a file that one call reads
	minStall   = 100 * time.Millisecond
	maxStall   = 3 * time.Second // the longest that a server may be silent while it owes an answer
)

// Config is what a [Client] needs to know. The zero value is usable.
type Config struct {
	// Endpoints are servers, host:port, in order of preference. The client stays with one while it
	// works. None: DefaultEndpoint.
	Endpoints []string
	// TTL is how long a session outlives its last heartbeat, 2 s to 10 min; servers may grant more.
	// A heartbeat is sent every third of it, and a thirtieth of it after one that failed. 0:
	// DefaultTTL.
	TTL time.Duration
	// ConnectTimeout is how long a call that holds nothing looks for a server before it fails with
	// [ErrUnavailable]. 0: DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// Label says who this is, for the eyes of operators: UTF-8 without control characters, 128
	// bytes at most. Empty: user@host:pid.
	Label string
	// Logger is told of moves between servers and of lost sessions. nil: nothing is logged.
	Logger *slog.Logger
	// DialOptions are added to the client's own: no transport security, and keepalive pings.
	DialOptions []grpc.DialOption
}

// withDefaults returns the configuration with what was left out, and an error that names every
// fault.
func (cfg Config) withDefaults() (Config, error) {
	var faults []error
	if len(cfg.Endpoints) == 0 {
		cfg.Endpoints = []string{DefaultEndpoint}
	}
	for _, e := range cfg.Endpoints {
		// gRPC would take anything and guess a port, and each call would have to find out that
		// nobody is there.
		if _, port, err := net.SplitHostPort(e); err != nil || port == "" || !utf8.ValidString(e) {
			faults = append(faults, fmt.Errorf("client: endpoint %q is not host:port", e))
		}
	}
	if cfg.TTL == 0 {
		cfg.TTL = DefaultTTL
	}
	if cfg.TTL < 0 {
		faults = append(faults, fmt.Errorf("client: TTL %v is negative", cfg.TTL))
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = DefaultConnectTimeout
	}
	if cfg.ConnectTimeout < 0 {
		faults = append(faults, fmt.Errorf("client: ConnectTimeout %v is negative", cfg.ConnectTimeout))
	}
	if cfg.Label == "" {
		cfg.Label = defaultLabel()
	}
	if err := checkText(cfg.Label); err != nil {
		faults = append(faults, fmt.Errorf("client: label: %w", err))
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg, errors.Join(faults...)
}

// stall is how long a server may owe an answer without saying anything before another one is tried.
func (cfg Config) stall() time.Duration {
	return max(minStall, min(maxStall, cfg.TTL/3, cfg.ConnectTimeout/3))
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
	name, host := "", ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
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
