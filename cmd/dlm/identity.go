package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/distributed-lock-manager/dlm/client"
)

// identity is what a command shows servers, and by what it knows them.
type identity struct {
	TLS    bool
	CA     string // these are files
	Cert   string
	Key    string
	Bearer string
}

// flags adds the identity's flags to a command.
func (id *identity) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&id.TLS, "tls", false, "reach servers by TLS, as --ca, --cert and --key do by themselves (env "+envTLS+")")
	flags.StringVar(&id.CA, "ca", "", "PEM file with the authorities of servers; by default those of the system count (env "+envCA+")")
	flags.StringVar(&id.Cert, "cert", "", "PEM file with the certificate to show servers (env "+envCert+")")
	flags.StringVar(&id.Key, "key", "", "PEM file with its key (env "+envKey+")")
	flags.StringVar(&id.Bearer, "bearer-file", "", "file with a token, a JWT, to show servers (env "+envBearer+")")
}

// given is what the flags say, and the environment where they say nothing. The files' paths are
// good in any directory.
func (id identity) given(flags *pflag.FlagSet) (identity, error) {
	asked := false // for TLS, by a flag
	for name, of := range map[string]struct {
		file *string
		env  string
	}{"ca": {&id.CA, envCA}, "cert": {&id.Cert, envCert}, "key": {&id.Key, envKey}, "bearer-file": {&id.Bearer, envBearer}} {
		switch {
		case !flags.Changed(name):
			*of.file = os.Getenv(of.env)
		case name != "bearer-file" && *of.file != "":
			asked = true
		}
		if path, err := filepath.Abs(*of.file); *of.file != "" && err == nil {
			*of.file = path
		}
	}
	env := os.Getenv(envTLS)
	switch {
	case flags.Changed("tls") && !id.TLS && asked:
		return id, usagef("--tls=false, and --ca, --cert or --key beside it")
	case flags.Changed("tls"):
	case asked || env == "":
		id.TLS = id.CA != "" || id.Cert != "" || id.Key != ""
	default:
		var err error
		if id.TLS, err = strconv.ParseBool(env); err != nil {
			return id, usagef("%s is %q, must be true or false", envTLS, env)
		}
	}
	if !id.TLS {
		id.CA, id.Cert, id.Key = "", "", ""
	}
	if (id.Cert == "") != (id.Key == "") {
		return id, usagef("a certificate needs its key, and a key its certificate: give both --cert and --key")
	}
	return id, nil
}

// config puts the identity into a client's configuration. It fails if a file is not as it should
// be.
func (id identity) config(cfg *client.Config) (err error) {
	cfg.BearerFile = id.Bearer
	if id.TLS {
		cfg.TLS, err = client.TLSFromFiles(id.CA, id.Cert, id.Key)
	}
	return err
}

// environ is what a command has to be told that is to use the same.
func (id identity) environ() map[string]string {
	return map[string]string{
		envTLS: strconv.FormatBool(id.TLS), envCA: id.CA, envCert: id.Cert, envKey: id.Key, envBearer: id.Bearer,
	}
}

// told is an error for people, with what to do about it if a server does not know who this is.
func told(err error) string {
	if errors.Is(err, client.ErrUnauthenticated) {
		return err.Error() + " (show a certificate that the servers accept, by --cert and --key, or a token, by --bearer-file)"
	}
	return err.Error()
}
