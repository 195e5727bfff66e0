package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/facade"
	"github.com/distributed-lock-manager/dlm/facade/audit"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/facade/auth/bearer"
	"github.com/distributed-lock-manager/dlm/internal/certs"
	"github.com/distributed-lock-manager/dlm/internal/reread"
)

// access is who may call a server, as its configuration says. close ends it.
type access struct {
	facade.Access
	bearers *bearer.Verifier
	log     *slog.Logger
}

// openAccess opens the files that say who may call. What is wrong with them is the configuration's
// fault.
func openAccess(cfg config.Config, stderr io.Writer, log *slog.Logger) (a *access, err error) {
	a = &access{log: log, Access: facade.Access{Kind: auth.Kind(cfg.Auth.Identity), Server: serverName(cfg)}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w: %w", errConfig, err), a.close())
		}
	}()
	switch cfg.TLS.Ask() {
	case "request":
		a.ClientAuth = facade.RequestCertificates
	case "require":
		a.ClientAuth = facade.RequireCertificates
	}
	if cfg.TLS.Cert != "" {
		files := certs.Files{CA: cfg.TLS.ClientCA, Cert: cfg.TLS.Cert, Key: cfg.TLS.Key, CRL: cfg.TLS.CRL}
		if a.Certificates, err = certs.Open(files, complaint(log, "certificates")); err != nil {
			return a, fmt.Errorf("tls: %w", err)
		}
	}
	if cfg.Auth.Policy != "" {
		load := func() (*auth.Policy, error) { return readPolicy(cfg.Auth.Policy) }
		if a.Policy, err = reread.Open(load, complaint(log, "policy"), cfg.Auth.Policy); err != nil {
			return a, fmt.Errorf("auth.policy: %q: %w", cfg.Auth.Policy, err)
		}
	}
	if len(cfg.Auth.JWT) > 0 {
		if a.bearers, err = bearer.Open(issuers(cfg), bearer.Options{Logger: log}); err != nil {
			return a, fmt.Errorf("auth.jwt: %w", err)
		}
		a.Bearers = a.bearers
	}
	if cfg.Audit.File != "" {
		if a.Audit, err = audit.Open(cfg.Audit.File, stderr, cfg.Audit.Required, log); err != nil {
			return a, fmt.Errorf("audit.file: %q: %w", cfg.Audit.File, err)
		}
	}
	return a, nil
}

// checkAccess says what is wrong with what says who may call, besides what the configuration's own
// package knows of.
func checkAccess(cfg config.Config) error {
	err := checkPolicy(cfg)
	for _, issuer := range issuers(cfg) {
		err = errors.Join(err, faultsOf(fmt.Sprintf("auth.jwt: issuer %q", issuer.Issuer), issuer.Check()))
	}
	if cfg.Audit.File != "" {
		err = errors.Join(err, faultsOf(fmt.Sprintf("audit.file: %q", cfg.Audit.File), audit.Check(cfg.Audit.File)))
	}
	return err
}

// faultsOf is an error of which each line says what it is about.
func faultsOf(what string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(what + ": " + strings.ReplaceAll(err.Error(), "\n", "\n"+what+": "))
}

// issuers are those whose tokens are taken.
func issuers(cfg config.Config) (all []bearer.Issuer) {
	for _, j := range cfg.Auth.JWT {
		all = append(all, bearer.Issuer{
			Issuer: j.Issuer, Audience: j.Audience, JWKS: j.JWKS, Algorithms: j.Algorithms, CA: j.JWKSCA, TokenFile: j.TokenFile,
		})
	}
	return all
}

// complaint logs that what a file has now cannot be used, and when it can again.
func complaint(log *slog.Logger, of string) func(error) {
	return func(err error) {
		if err == nil {
			log.Info("files can be used again", "of", of)
			return
		}
		log.Error("files cannot be used: what was in them before still counts", "of", of, "err", err)
	}
}

// close ends what was opened. The audit's last lines are written.
func (a *access) close() error {
	var err error
	if a.bearers != nil {
		a.bearers.Close()
	}
	if a.Audit != nil {
		err = a.Audit.Close()
	}
	return err
}

// reopen has what a signal asks for: the audit file is opened anew.
func (a *access) reopen() error {
	if a.Audit == nil {
		return nil
	}
	err := a.Audit.Reopen()
	if err == nil {
		a.log.Info("the audit file is opened anew")
	}
	return err
}

// tellHowOpen says in the log who may use the service, where that is more than a policy says.
func tellHowOpen(cfg config.Config, listen net.Addr, log *slog.Logger) {
	at := slog.String("listen", listen.String())
	switch {
	case cfg.Identifies() && cfg.Auth.Policy == "":
		log.Warn("whoever says who it is may do everything with every lock: there is no auth.policy", at)
	case cfg.Identifies():
	case loopback(listen):
		log.Info("whoever is on this machine may do everything with every lock: nobody is asked who they are", at)
	case cfg.TLS.Cert != "":
		log.Warn("whoever reaches the port may do everything with every lock: nobody is asked who they are", at)
	default:
		log.Warn("listening beyond this machine without TLS: whoever reaches the port can use every lock, and see what others do", at)
	}
}
