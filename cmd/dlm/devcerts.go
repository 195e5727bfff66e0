package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/devcerts"
)

// maxCertDays bounds how long a certificate for trying lasts.
const maxCertDays = 365

// devCerts is what `dlm dev-certs` is to do.
type devCerts struct {
	dir    string
	client string
	revoke string // a client; empty: none
	issue  bool
	hosts  []string
	days   int
}

func newDevCerts(s *streams) *cobra.Command {
	var d devCerts
	cmd := &cobra.Command{
		Use:   "dev-certs [flags] DIR",
		Short: "Make certificates for trying TLS",
		Long: `Make an authority, and certificates of a server and of a client, in a directory; and say how to use them. They are for
trying only: whoever can read the directory can be anybody.

Run it again to replace the certificates, as happens in real life now and then: the authority stays, and servers that run
take the new ones. With --client there are as many clients as you like, each with the names spiffe://dlm.test/NAME,
NAME.dlm.test and NAME, one for each value of "auth.identity".

With --revoke a client's certificate is put on the list of those that servers refuse; none is made then, unless --client is
given too.

Exit code: 64 usage, or a directory that has other files in it, 1 any other failure.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.dir = args[0]
			if d.days < 1 || d.days > maxCertDays {
				return usagef("--days is %d, must be 1 to %d", d.days, maxCertDays)
			}
			d.issue = d.revoke == "" || cmd.Flags().Changed("client")
			err := d.run(s.out)
			if errors.Is(err, devcerts.ErrUsage) {
				return usagef("%v", err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&d.client, "client", "client", "the client's name")
	cmd.Flags().StringSliceVar(&d.hosts, "host", nil, "another name or address of the server, beside localhost; may be repeated")
	cmd.Flags().IntVar(&d.days, "days", 30, "how many days the certificates last")
	cmd.Flags().StringVar(&d.revoke, "revoke", "", "name of a client whose current certificate is revoked")
	return cmd
}

func (d devCerts) run(out io.Writer) error {
	authority, err := devcerts.Open(d.dir)
	if err != nil {
		return err
	}
	var revoked []string
	if d.revoke != "" {
		revoked = []string{d.revoke}
	}
	if err := authority.Revoke(revoked...); err != nil {
		return err
	}
	for _, client := range revoked {
		if _, err := fmt.Fprintf(out, "Revoked: what %s was until now.\n", authority.Cert(client)); err != nil {
			return err
		}
	}
	if !d.issue {
		return nil
	}
	lasts := time.Duration(d.days) * 24 * time.Hour
	if err := authority.IssueClient(d.client, lasts); err != nil {
		return err
	}
	if err := authority.IssueServer(d.hosts, lasts); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `For trying only: whoever can read %s can be anybody.

A server that asks its clients who they are:
  dlm server --tls-cert %s --tls-key %s --tls-client-ca %s --tls-crl %s --auth-identity spiffe
A client, whom it knows as spiffe:spiffe://dlm.test/%s:
  dlm lock --ca %s --cert %s --key %s demo -- echo hello
`, shellWord(d.dir),
		shellWord(authority.Cert(devcerts.Server)), shellWord(authority.Key(devcerts.Server)), shellWord(authority.Cert("ca")), shellWord(authority.CRL()),
		d.client,
		shellWord(authority.Cert("ca")), shellWord(authority.Cert(d.client)), shellWord(authority.Key(d.client)))
	return err
}

// shellWord is a text as one word of a shell's.
func shellWord(text string) string {
	if regexp.MustCompile(`^[\w./:@%+,-]+$`).MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
