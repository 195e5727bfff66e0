package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// Whatever is wrong with what says who may call, a server does not start, and says what it is: one
// line for each fault, without anything that is nobody's business. A check says the same.
func TestFaultsOfAccess(t *testing.T) {
	t.Parallel()
	const secret = "geheim"
	dir, other, authority := t.TempDir(), t.TempDir(), certstest.New(t)
	ca := authority.WriteTo(t, dir)
	cert, key := authority.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}}).WriteTo(t, dir)
	_, otherKey := authority.Issue(t, certstest.Spec{}).WriteTo(t, other)
	file := func(name, text string) string { return certstest.Write(t, filepath.Join(dir, name), []byte(text)) }
	absent := filepath.Join(dir, "absent")
	open := file("open.yaml", rules)
	if err := os.Chmod(open, 0o666); err != nil { //nolint:gosec // that is the fault
		t.Fatal(err)
	}
	pair := fmt.Sprintf("cert: %q, key: %q", cert, key)
	mutual := fmt.Sprintf("tls: {%s, client-ca: %q}\n", pair, ca)
	jwt := func(fields string) string { return fmt.Sprintf("tls: {%s}\nauth: {jwt: [{%s}]}\n", pair, fields) }
	for text, want := range map[string][]string{
		"listen: 0.0.0.0:0\n": {"listen: .*tls.cert and tls.key, or insecure: true"},
		"cluster: {members: [dlm=127.0.0.1:1], peer-listen: ':1'}\n": {"cluster.peer-listen: .*cluster.tls, or insecure: true"},
		"insecure: perhaps\n":                                                            {"insecure: .*true or false"},
		fmt.Sprintf("tls: {cert: %q}\n", cert):                                           {"tls.cert: .*both"},
		fmt.Sprintf("tls: {cert: %q, key: %q}\n", absent, absent):                        {"tls.cert: .*no such file", "tls.key: .*no such file"},
		fmt.Sprintf("tls: {cert: %q, key: %q}\n", cert, otherKey):                        {"tls.key: .*does not match"},
		fmt.Sprintf("tls: {cert: %q, key: %q}\n", key, cert):                             {"tls.cert: .*no PEM CERTIFICATE"},
		fmt.Sprintf("tls: {%s, client-ca: %q}\n", pair, dir):                             {"tls.client-ca: .*directory"},
		fmt.Sprintf("tls: {%s, client-ca: %q}\n", pair, key):                             {"tls.client-ca: .*only CERTIFICATE is wanted"},
		fmt.Sprintf("tls: {client-ca: %q}\n", ca):                                        {"tls.client-ca: .*tls.cert with it"},
		fmt.Sprintf("tls: {%s, client-ca: %q, crl: %q}\n", pair, ca, ca):                 {"tls.crl: .*only X509 CRL is wanted"},
		fmt.Sprintf("tls: {%s, crl: %q}\n", pair, file("crl", string(authority.CRL(t)))): {"tls.crl: .*tls.client-ca with it"},
		fmt.Sprintf("tls: {%s, client-auth: require}\n", pair):                           {"tls.client-auth: .*tls.client-ca with it"},
		fmt.Sprintf("tls: {%s, client-auth: maybe}\n", pair):                             {"tls.client-auth: .*none, request, require"},
		"auth: {identity: email}\n":                                                      {"auth.identity: .*spiffe, dns, cn"},
		fmt.Sprintf("auth: {policy: %q}\n", file("good.yaml", rules)):                    {"auth.policy: .*known who calls"},
		mutual + fmt.Sprintf("auth: {policy: %q}\n", absent):                             {"auth.policy: .*no such file"},
		mutual + fmt.Sprintf("auth: {policy: %q}\n", dir):                                {"auth.policy: .*directory"},
		mutual + fmt.Sprintf("auth: {policy: %q}\n", open):                               {"auth.policy: .*everybody may write"},
		mutual + fmt.Sprintf("auth: {policy: %q}\n", file("cut.yaml", "rules: [")):       {"auth.policy: .*yaml: line 1"},
		mutual + fmt.Sprintf("auth: {policy: %q}\n", file("wrong.yaml", wrongRules)):     {"auth.policy: .*line 1: identity", "auth.policy: .*line 1: invalid name", "auth.policy: .*line 1: verb"},
		jwt("issuer: i"): {"auth.jwt: .*audience: is missing", "auth.jwt: .*jwks: is missing"},
		jwt("issuer: i, audience: dlm, jwks: https://u:" + secret + "@h/k"):                 {"auth.jwt: .*jwks: want a file, or a URL https"},
		jwt("issuer: i, audience: dlm, jwks: https://u:" + secret + "@h/k, key: " + secret): {"auth.jwt: .*want a list of sections"},
		jwt("issuer: i, audience: dlm, jwks: " + absent):                                    {"auth.jwt: .*jwks: .*no such file"},
		jwt("issuer: i, audience: dlm, jwks: " + ca):                                        {"auth.jwt: .*jwks: .*not a set of keys"},
		jwt("issuer: i, audience: dlm, jwks: https://h/k, algorithms: [none]"):              {"auth.jwt: .*algorithms: "},
		"audit: {required: true}\n":                                                         {"audit.required: .*audit.file with it"},
		fmt.Sprintf("audit: {file: %q}\n", filepath.Join(absent, "audit")):                  {"audit.file: .*no such file"},
		fmt.Sprintf("audit: {file: %q}\n", dir):                                             {"audit.file: .*directory"},
		fmt.Sprintf("audit: {file: %q}\n", open):                                            {"audit.file: .*everybody may write"},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			config := certstest.Write(t, filepath.Join(t.TempDir(), "dlm.yaml"), []byte("data-dir: "+filepath.Join(dir, "data")+"\n"+text))
			check := run(t, command(t, "", dlmPath, "config", "check", "--config", config))
			r := run(t, command(t, "", dlmPath, "server", "--config", config))
			if check != r || r.code != 78 || r.out != "" {
				t.Errorf("exit codes %d and %d, want 78 and nothing printed; the check:\n%s%s\nthe server:\n%s%s", check.code, r.code, check.out, check.err, r.out, r.err)
			}
			lines := strings.Split(strings.TrimPrefix(strings.TrimSpace(r.err), "dlm: configuration: "), "\n")
			for i, line := range lines {
				if len(lines) != len(want) || !regexp.MustCompile("^"+want[i]).MatchString(line) {
					t.Errorf("line %d is %q, want %q", i+1, line, want)
				}
			}
			if strings.Contains(r.err, secret) {
				t.Errorf("it tells a secret: %s", r.err)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		t.Error("a server has made its data directory")
	}
}

const wrongRules = "rules: [{identity: nobody, locks: [jobs/], allow: [everything]}]"

// Who may use a server is said once when it starts, and as a warning where it is more than one may
// expect.
func TestServerSaysWhoMayUseIt(t *testing.T) {
	t.Parallel()
	dir, authority := t.TempDir(), certstest.New(t)
	ca := authority.WriteTo(t, dir)
	cert, key := authority.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}}).WriteTo(t, dir)
	for name, test := range map[string]struct {
		listen, level, says string
		args                []string
	}{
		"loopback":       {"127.0.0.1:0", "info", "whoever is on this machine may do everything", nil},
		"consent":        {"0.0.0.0:0", "warn", "listening beyond this machine without TLS", []string{"--insecure=true"}},
		"encrypted":      {"0.0.0.0:0", "warn", "whoever reaches the port may do everything", []string{"--tls-cert", cert, "--tls-key", key}},
		"with no policy": {"127.0.0.1:0", "warn", "whoever says who it is may do everything", []string{"--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := startServer(test.listen, t.TempDir(), append(test.args, "--log-format", "json")...)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.stop(syscall.SIGTERM); err != nil {
				t.Errorf("server: %v\n%s", err, s.log)
			}
			said := regexp.MustCompile(`"level":"(\w+)",[^\n]*"msg":"(?:whoever|listening beyond)`).FindAllStringSubmatch(s.log.String(), -1)
			if len(said) != 1 || said[0][1] != test.level || !strings.Contains(s.log.String(), `"msg":"`+test.says) {
				t.Errorf("want one line at level %s that says %q:\n%s", test.level, test.says, s.log)
			}
			if n := strings.Count(s.log.String(), `"level":"warn"`); test.level == "info" && n > 0 {
				t.Errorf("%d warnings:\n%s", n, s.log)
			}
		})
	}
}
