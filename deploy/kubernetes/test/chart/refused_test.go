package chart

import (
	"strings"
	"testing"
)

// Values that are wrong are refused, with a reason that names them.
func TestRefused(t *testing.T) {
	secure := []string{"tls.enabled=true", "tls.secret=a", "peerTLS.enabled=true", "peerTLS.secret=b"}
	plain := []string{"insecure=true"}
	for name, test := range map[string]struct {
		base, set []string
		want      string
	}{
		"nothing said of plain text":         {nil, nil, "clients would connect in plain text"},
		"plain text among peers":             {nil, []string{"tls.enabled=true", "tls.secret=a"}, "the servers would connect to each other in plain text"},
		"a misspelt value":                   {plain, []string{"replica=3"}, "'replica'"},
		"a misspelt value inside":            {plain, []string{"image.repo=x"}, "'repo'"},
		"a mode that there is not":           {plain, []string{"mode=standalone"}, "/mode"},
		"a number as text":                   {plain, []string{"replicas=three"}, "/replicas"},
		"an even cluster":                    {plain, []string{"replicas=2"}, "replicas is 2"},
		"less than no servers":               {plain, []string{"replicas=-1"}, "/replicas"},
		"beside no etcd":                     {plain, []string{"mode=external"}, "mode external needs etcd.endpoints"},
		"two etcds":                          {plain, []string{"etcd.endpoints={a:2379}"}, "are for mode external"},
		"an endpoint without a port":         {plain, []string{"mode=external", "etcd.endpoints={etcd}"}, "/etcd/endpoints/0"},
		"a prefix that does not end":         {plain, []string{"etcd.prefix=/dlm"}, "/etcd/prefix"},
		"a user without a password":          {plain, []string{"mode=external", "etcd.endpoints={a:1}", "etcd.username=dlm"}, "etcd.passwordSecret.name"},
		"TLS from nowhere":                   {plain, []string{"tls.enabled=true"}, "tls.secret or certManager.enabled"},
		"TLS of peers from nowhere":          {plain, []string{"peerTLS.enabled=true"}, "peerTLS.secret or certManager.enabled"},
		"one authority for both":             {secure, []string{"peerTLS.secret=a"}, "would be a peer"},
		"one issuer for both":                {secure, []string{"certManager.issuer.name=a", "certManager.peersIssuer.name=a"}, "would be a peer"},
		"a policy in plain text":             {plain, []string{"auth.policyConfigMap=a"}, "auth needs tls.enabled"},
		"tokens in plain text":               {plain, []string{"auth.serviceAccounts.enabled=true"}, "auth needs tls.enabled"},
		"two policies":                       {secure, []string{"auth.policyConfigMap=a", "auth.rules[0].identity=a", "auth.rules[0].locks={b}"}, "two policies"},
		"a policy for nobody":                {secure, []string{"auth.policyConfigMap=a", "tls.clientAuth=none"}, "nobody is asked who they are"},
		"a verb that there is not":           {secure, []string{"auth.rules[0].identity=a", "auth.rules[0].locks={b}", "auth.rules[0].allow={everything}"}, "/auth/rules/0/allow/0"},
		"a rule for no lock":                 {secure, []string{"auth.rules[0].identity=a"}, "locks"},
		"revoked of a policy elsewhere":      {secure, []string{"auth.policyConfigMap=a", "auth.revoked[0].identity=b"}, "auth.revoked needs auth.rules"},
		"what the chart writes itself":       {plain, []string{"config.listen=:1"}, "listen"},
		"a port that is none":                {plain, []string{"service.port=70000"}, "/service/port"},
		"an admin port that is taken":        {plain, []string{"admin.port=2380"}, "admin.port is 2380"},
		"scraping nothing":                   {plain, []string{"admin.enabled=false", "serviceMonitor.enabled=true"}, "nothing to scrape"},
		"scraping by nobody":                 {secure, []string{"serviceMonitor.enabled=true"}, "serviceMonitor.clientSecret"},
		"a backup by nobody":                 {secure, []string{"backup.enabled=true"}, "backup.clientSecret"},
		"a schedule that is none":            {plain, []string{"backup.schedules.sunday=weekly"}, "/backup/schedules/sunday"},
		"a backup's name that leads outside": {plain, []string{"backup.schedules.\\.\\./x=@daily"}, "'../x' does not match pattern"},
		"a size without a unit":              {plain, []string{"storage.size=10"}, "/storage/size"},
		"a quota that etcd does not know":    {plain, []string{"cluster.quota=4Gi"}, "/cluster/quota"},
		"a digest that is none":              {plain, []string{"image.digest=latest"}, "/image/digest"},
		"a state that there is not":          {plain, []string{"cluster.state=old"}, "/cluster/state"},
		"everybody by an empty list":         {plain, []string{"networkPolicy.clients=null"}, "clients"},
		"a name of somebody else's yaml":     {plain, []string{"fullnameOverride=a: b"}, "/fullnameOverride"},
		"an etcd user that is yaml":          {plain, []string{"mode=external", "etcd.endpoints={a:1}", "etcd.passwordSecret.name=p", "etcd.username=a\ninsecure: true"}, "/etcd/username"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := template(set(t, append(test.base, test.set...)...), false)
			if err == nil {
				t.Fatal("it is rendered")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("it says\n%v\nwant %q", err, test.want)
			}
		})
	}
}
