package config

// ServerTLS names the PEM files of the service, and says whether clients show certificates.
type ServerTLS struct {
	Cert       string
	Key        string
	ClientCA   string
	CRL        string
	ClientAuth string // auto, none, request or require: see Ask
}

// Auth says who clients are, and what they may do.
type Auth struct {
	Identity string // the kind that certificates have: spiffe, dns or cn
	Policy   string // a file; empty: everything is allowed
	JWT      []JWT
}

// JWT is an issuer of tokens.
type JWT struct {
	Issuer     string   `yaml:"issuer"`
	Audience   string   `yaml:"audience"`
	JWKS       string   `yaml:"jwks"` // a file, or an https URL
	Algorithms []string `yaml:"algorithms,omitempty"`
	JWKSCA     string   `yaml:"jwks-ca,omitempty"`         // of the URL
	TokenFile  string   `yaml:"jwks-token-file,omitempty"` // for the URL
}

// Audit says where it is written down who did what.
type Audit struct {
	File     string // or stderr; empty: nowhere
	Required bool
}

// Ask says whether clients show certificates: none, request or require.
func (t ServerTLS) Ask() string {
	switch {
	case t.ClientAuth != "auto":
		return t.ClientAuth
	case t.ClientCA != "":
		return "require"
	}
	return "none"
}

// Identifies reports whether clients say who they are.
func (c Config) Identifies() bool { return c.TLS.Ask() != "none" || len(c.Auth.JWT) > 0 }

func accessSettings() []setting {
	return []setting{
		{name: "insecure", field: func(c *Config) any { return &c.Insecure },
			meaning: "`true`: plain text is meant where others than this machine can see it, at `listen` and `admin.listen` without `tls.cert` and at `cluster.peer-listen` without `cluster.tls`. Else that is refused."},
		{name: "reflection", field: func(c *Config) any { return &c.Reflection },
			meaning: "Whether the service tells tools such as `grpcurl` what calls it has. With a policy that needs `admin`."},
		{name: "tls.cert", field: func(c *Config) any { return &c.TLS.Cert },
			meaning: "PEM file of the service's certificate, with those between it and its authority. With it clients have to speak TLS 1.3. What is in the files of `tls` is used as soon as it is there."},
		{name: "tls.key", field: func(c *Config) any { return &c.TLS.Key },
			meaning: "PEM file of the certificate's key."},
		{name: "tls.client-ca", field: func(c *Config) any { return &c.TLS.ClientCA },
			meaning: "PEM file of the authorities that sign clients' certificates."},
		{name: "tls.crl", field: func(c *Config) any { return &c.TLS.CRL },
			meaning: "PEM file of those authorities' lists of revoked certificates."},
		{name: "tls.client-auth", field: func(c *Config) any { return &c.TLS.ClientAuth },
			meaning: "Whether clients show certificates: `none`, `request` (they may), `require`, or `auto`: `require` with `tls.client-ca`, else `none`. One that is shown has to be good."},
		{name: "auth.identity", field: func(c *Config) any { return &c.Auth.Identity },
			meaning: "Where in its certificate a client's identity is: `spiffe`, its only URI name; `dns`, its only DNS name; `cn`, its common name."},
		{name: "auth.policy", field: func(c *Config) any { return &c.Auth.Policy },
			meaning: "YAML file that says which identities may do what with which locks; reread when it changes. Empty: everybody who may call may do everything."},
		{name: "auth.jwt", field: func(c *Config) any { return &c.Auth.JWT }, address: true,
			meaning: "List of issuers whose tokens clients may show, each with `issuer`, `audience`, `jwks` (a file, or an https URL), and maybe `algorithms` (`[RS256, ES256]`), `jwks-ca` and `jwks-token-file` (for the URL). In the environment as YAML or JSON."},
		{name: "audit.file", field: func(c *Config) any { return &c.Audit.File },
			meaning: "File to which a line is added for every change that a client makes, and for everything that is refused; or `stderr`. SIGHUP opens it anew. Empty: nothing is written down."},
		{name: "audit.required", field: func(c *Config) any { return &c.Audit.Required },
			meaning: "`true`: nothing is changed for clients while the audit file cannot be written."},
	}
}

// validateAccess checks who may call, and over what.
func (c Config) validateAccess(f *faults) {
	t := c.TLS
	const plain = "because it can be reached from other machines, and nothing would be encrypted"
	encrypted := t.Cert != ""
	f.check(encrypted || c.Insecure || !isHostPort(c.Listen) || IsLoopback(c.Listen), "listen", c.Listen,
		"tls.cert and tls.key, or insecure: true, "+plain)
	f.check(c.Cluster.TLS != TLS{} || c.Insecure || len(c.Cluster.Members) == 0 || !isHostPort(c.Cluster.PeerListen) || IsLoopback(c.Cluster.PeerListen),
		"cluster.peer-listen", c.Cluster.PeerListen, "cluster.tls, or insecure: true, "+plain)
	f.check(encrypted || c.Insecure || !isHostPort(c.Admin.Listen) || IsLoopback(c.Admin.Listen), "admin.listen", c.Admin.Listen,
		"tls.cert and tls.key, or insecure: true, "+plain)
	f.check((t.Cert == "") == (t.Key == ""), "tls.cert", t.Cert, "both tls.cert and tls.key, or none")
	f.check(encrypted || t.ClientCA == "", "tls.client-ca", t.ClientCA, "tls.cert with it")
	f.oneOf("tls.client-auth", t.ClientAuth, "auto", "none", "request", "require")
	asks := t.ClientAuth == "request" || t.ClientAuth == "require"
	f.check(!asks || t.ClientCA != "", "tls.client-auth", t.ClientAuth, "tls.client-ca with it")
	f.check(t.CRL == "" || t.ClientCA != "", "tls.crl", t.CRL, "tls.client-ca with it")
	f.oneOf("auth.identity", c.Auth.Identity, "spiffe", "dns", "cn")
	f.check(c.Auth.Policy == "" || c.Identifies(), "auth.policy", c.Auth.Policy, "tls.client-ca or auth.jwt with it, so that it is known who calls")
	f.check(len(c.Auth.JWT) == 0 || encrypted || c.Insecure || IsLoopback(c.Listen) && (c.Admin.Listen == "" || IsLoopback(c.Admin.Listen)), "auth.jwt", len(c.Auth.JWT),
		"tls.cert with it, because whoever sees a token can use it")
	issuers := map[string]bool{}
	for _, j := range c.Auth.JWT {
		f.check(!issuers[j.Issuer], "auth.jwt", j.Issuer, "each issuer once")
		issuers[j.Issuer] = true
	}
	f.check(!c.Audit.Required || c.Audit.File != "", "audit.required", c.Audit.Required, "audit.file with it")
}
