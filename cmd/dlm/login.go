package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/internal/certs"
)

// login is how a server shows an external etcd who it is. Password and certificates are replaced
// while it runs, so their files are read whenever they are used: with each login, and with each
// connection. What has served before is used while a file cannot be read.
type login struct {
	log *slog.Logger

	mu       sync.Mutex
	cfg      config.Etcd
	password string            // the last that etcd has taken
	tls      *tls.Config       // the last that could be read; nil: plain text
	said     map[string]string // the last complaint about each kind of file
}

func newLogin(cfg config.Etcd, log *slog.Logger) (*login, error) {
	tlsConfig, err := etcdTLS(cfg.TLS)
	return &login{log: log, cfg: cfg, password: cfg.Password, tls: tlsConfig, said: map[string]string{}}, err
}

// take has a later configuration count. Whether there is TLS, and a user, cannot be changed.
func (l *login) take(cfg config.Config) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if (cfg.Etcd.TLS == config.TLS{}) != (l.tls == nil) || cfg.Etcd.Username != l.cfg.Username {
		return errors.New("that there is TLS, or a user, needs a restart")
	}
	l.cfg = cfg.Etcd
	return nil
}

func (l *login) options() []grpc.DialOption {
	options := []grpc.DialOption{grpc.WithChainUnaryInterceptor(l.authenticate)}
	if l.tls != nil {
		options = append(options, grpc.WithTransportCredentials(certs.Handshake(l.certificates)))
	}
	return options
}

// authenticate gives logins the password of this moment. The one before counts as well, for it may
// be that only the file has been changed yet.
func (l *login) authenticate(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	in, is := req.(*pb.AuthenticateRequest)
	if !is {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	before, now := l.passwords()
	in.Password = now
	err := invoke(ctx, method, req, reply, cc, opts...)
	if now != before {
		if err == nil {
			l.mu.Lock()
			l.password = now
			l.mu.Unlock()
			l.log.Info("logged in at etcd with a new password")
		} else if errors.Is(rpctypes.Error(err), rpctypes.ErrAuthFailed) {
			in.Password = before
			if invoke(ctx, method, req, reply, cc, opts...) == nil {
				return nil
			}
		}
	}
	return err
}

// passwords returns the last one that etcd has taken, and the one of this moment.
func (l *login) passwords() (before, now string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cfg.PasswordFile == "" {
		return l.password, l.cfg.Password
	}
	now, err := config.ReadPassword(l.cfg.PasswordFile)
	l.complain("password", err)
	if err != nil {
		return l.password, l.password
	}
	return l.password, now
}

// certificates returns those of this moment.
func (l *login) certificates() *tls.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, err := etcdTLS(l.cfg.TLS)
	l.complain("certificates", err)
	if err == nil {
		l.tls = now
	}
	return l.tls
}

// complain logs what is wrong with a file, once. The mutex is held.
func (l *login) complain(of string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != l.said[of] {
		l.log.Warn("a file for etcd cannot be used; what was in it before is", "of", of, "err", err)
	}
	l.said[of] = text
}

// etcdTLS is how etcd is reached with these files, all of which are read; nil if none is named.
func etcdTLS(files config.TLS) (*tls.Config, error) {
	if files == (config.TLS{}) {
		return nil, nil
	}
	set, err := certs.Load(certs.Files(files))
	if err != nil {
		return nil, err
	}
	cfg := set.ClientConfig()
	cfg.MinVersion = tls.VersionTLS12 // an external etcd may be told to speak nothing newer
	return cfg, nil
}
