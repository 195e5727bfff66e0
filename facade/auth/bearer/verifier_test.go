package bearer_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/distributed-lock-manager/dlm/facade/auth/bearer"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// mixedKeys are the issuer's in most tests.
func mixedKeys() []byte {
	encrypting, bound := public("enc", ecKey()), public("rs512", rsaKey())
	encrypting.Use, bound.Algorithm = "enc", "RS512"
	return set(public("rsa", rsaKey()), public("ec", ecKey()), public("ed", edKey()), encrypting, bound,
		jose.JSONWebKey{KeyID: "oct", Key: []byte("0123456789abcdef0123456789abcdef")}, public("twin", ecKey()), public("twin", otherKey()))
}

// twoIssuers are those of most tests: tokens are the first one's.
func twoIssuers(tb testing.TB) []bearer.Issuer {
	other := bearer.Issuer{Issuer: "https://other.example", Audience: "else", JWKS: write(tb, set(public("other", otherKey())))}
	return []bearer.Issuer{{Issuer: issuer, Audience: audience, JWKS: write(tb, mixedKeys())}, other}
}

func TestGoodTokens(t *testing.T) {
	t.Parallel()
	v := open(t, twoIssuers(t)...)
	header := fields{"alg": "ES256", "kid": "ec"}
	for name, token := range map[string]string{
		"ES256":                   byHand(ecKey(), header, claims()),
		"RS256":                   signed(jose.RS256, "rsa", rsaKey(), nil, claims()),
		"RS256 without a kid":     signed(jose.RS256, "", rsaKey(), nil, claims()),
		"typ JWT":                 byHand(ecKey(), header.with(fields{"typ": "JWT"}), claims()),
		"typ jwt":                 byHand(ecKey(), header.with(fields{"typ": "jwt"}), claims()),
		"typ at+jwt":              byHand(ecKey(), header.with(fields{"typ": "at+jwt"}), claims()),
		"typ application/at+jwt":  byHand(ecKey(), header.with(fields{"typ": "application/at+jwt"}), claims()),
		"cty NONE":                byHand(ecKey(), header.with(fields{"cty": "NONE"}), claims()),
		"several audiences":       byHand(ecKey(), header, claims().with(fields{"aud": []string{"else", audience}})),
		"no iat":                  byHand(ecKey(), header, claims().with(fields{"iat": nil})),
		"nbf within leeway":       byHand(ecKey(), header, claims().with(fields{"nbf": now.Add(bearer.Leeway).Unix()})),
		"iat within leeway":       byHand(ecKey(), header, claims().with(fields{"iat": now.Add(bearer.Leeway).Unix()})),
		"one second left":         byHand(ecKey(), header, claims().with(fields{"exp": now.Add(time.Second).Unix()})),
		"the longest subject":     byHand(ecKey(), header, claims().with(fields{"sub": strings.Repeat("s", bearer.MaxSubject)})),
		"claims of others' kinds": byHand(ecKey(), header, claims().with(fields{"kubernetes.io": fields{"namespace": "prod"}, "SUB": "x"})),
		"keys brought along":      byHand(ecKey(), header.with(fields{"jku": "https://evil.example", "jwk": public("ec", otherKey())}), claims()),
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time from memory
				got, err := v.Verify(token)
				if err != nil || got.Issuer != issuer || got.Subject == "" || !got.Expiry.After(now) {
					t.Errorf("%+v, %v", got, err)
				}
			}
		})
	}
	got, err := v.Verify(byHand(ecKey(), header, claims()))
	want := bearer.Claims{Issuer: issuer, Subject: subject, Issued: got.Issued, Expiry: got.Expiry}
	if err != nil || got != want || !got.Issued.Equal(now.Add(-time.Minute)) || !got.Expiry.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestEveryAlgorithmWithItsKey(t *testing.T) {
	t.Parallel()
	p384, p521 := newEC(elliptic.P384()), newEC(elliptic.P521())
	signing := map[jose.SignatureAlgorithm]any{
		jose.RS256: rsaKey(), jose.RS384: rsaKey(), jose.RS512: rsaKey(), jose.PS256: rsaKey(), jose.PS384: rsaKey(), jose.PS512: rsaKey(),
		jose.ES256: ecKey(), jose.ES384: p384, jose.ES512: p521, jose.EdDSA: edKey(),
	}
	all := bearer.Issuer{Issuer: issuer, Audience: audience}
	for algorithm := range signing {
		all.Algorithms = append(all.Algorithms, string(algorithm))
	}
	all.JWKS = write(t, set(public("", rsaKey()), public("", ecKey()), public("", p384), public("", p521), public("", edKey())))
	v := open(t, all)
	for algorithm, key := range signing {
		if _, err := v.Verify(signed(algorithm, "", key, nil, claims())); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// bad is a token that is to be refused.
type bad struct {
	name, token string
	want        error
}

// hmac signs with a text that everybody knows.
func hmac(name string, secret []byte) bad {
	return bad{"HMAC with the public key's " + name, signed(jose.HS256, "rsa", secret, nil, claims()), bearer.ErrAlgorithm}
}

func badTokens() (all []bad) {
	header := fields{"alg": "ES256", "kid": "ec"}
	add := func(want error, name, token string) { all = append(all, bad{name, token, want}) }
	head := func(want error, name string, change fields) {
		add(want, "header: "+name, byHand(ecKey(), header.with(change), claims()))
	}
	claim := func(want error, name string, change fields) {
		add(want, "claims: "+name, byHand(ecKey(), header, claims().with(change)))
	}
	raw := func(name, payload string) {
		add(bearer.ErrMalformed, "payload: "+name, byHand(ecKey(), header, payload))
	}
	good := byHand(ecKey(), header, claims())
	parts := strings.Split(good, ".")
	text := string(must(json.Marshal(claims())))

	for _, alg := range []any{"none", "None", "NONE", "nOnE", "", nil, "HS256", "hs256", "es256", "ES256 ", 256, []string{"ES256"}} {
		header := encode(header.with(fields{"alg": alg}))
		add(bearer.ErrAlgorithm, fmt.Sprintf("alg %v without a signature", alg), header+"."+parts[1]+".")
		add(bearer.ErrAlgorithm, fmt.Sprintf("alg %v with another's signature", alg), header+"."+parts[1]+"."+parts[2])
	}
	der := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	all = append(all, hmac("PEM", block), hmac("PEM without an end of line", block[:len(block)-1]), hmac("DER", der),
		hmac("PKCS 1", x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)), hmac("JWK", must(json.Marshal(public("rsa", rsaKey())))),
		hmac("modulus", rsaKey().N.Bytes()))
	add(bearer.ErrAlgorithm, "HMAC with a key of the set", signed(jose.HS256, "oct", []byte("0123456789abcdef0123456789abcdef"), nil, claims()))

	add(bearer.ErrMalformed, "empty", "")
	add(bearer.ErrAlgorithm, "dots", "..")
	add(bearer.ErrMalformed, "one part", parts[0])
	add(bearer.ErrMalformed, "two parts", parts[0]+"."+parts[1])
	add(bearer.ErrMalformed, "four parts", good+".")
	add(bearer.ErrMalformed, "five parts", good+"..")
	add(bearer.ErrMalformed, "with the scheme", "Bearer "+good)
	add(bearer.ErrMalformed, "with a space", good+" ")
	add(bearer.ErrMalformed, "with an end of line", good+"\n")
	add(bearer.ErrMalformed, "with padding", good+"==")
	add(bearer.ErrMalformed, "with a byte 0", good[:9]+"\x00"+good[9:])
	add(bearer.ErrMalformed, "in the other alphabet", parts[0]+"."+parts[1]+"."+strings.Repeat("+/", 43))
	add(bearer.ErrMalformed, "huge", byHand(ecKey(), header, claims().with(fields{"x": strings.Repeat("x", bearer.MaxToken)})))
	one := must(must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: ecKey()}, nil)).Sign([]byte(text)))
	two := must(must(jose.NewMultiSigner([]jose.SigningKey{
		{Algorithm: jose.ES256, Key: ecKey()}, {Algorithm: jose.ES256, Key: otherKey()},
	}, nil)).Sign([]byte(text)))
	add(bearer.ErrMalformed, "JSON with one signature", one.FullSerialize())
	add(bearer.ErrMalformed, "JSON with two signatures", two.FullSerialize())
	add(bearer.ErrMalformed, "detached", must(one.DetachedCompactSerialize()))
	encrypter := must(jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: rsaKey().Public()}, nil))
	add(bearer.ErrMalformed, "JWE", must(must(encrypter.Encrypt([]byte(good))).CompactSerialize()))

	add(bearer.ErrSignature, "no signature", parts[0]+"."+parts[1]+".")
	add(bearer.ErrSignature, "short signature", good[:len(good)-4])
	add(bearer.ErrSignature, "signature of zeros", parts[0]+"."+parts[1]+"."+encode(strings.Repeat("\x00", 64)))
	add(bearer.ErrSignature, "other claims under a signature", parts[0]+"."+encode(claims().with(fields{"sub": "root"}))+"."+parts[2])
	add(bearer.ErrSignature, "another's key", byHand(otherKey(), header, claims()))
	add(bearer.ErrSignature, "another's key that it brings along", byHand(otherKey(), header.with(fields{"jwk": public("ec", otherKey())}), claims()))
	add(bearer.ErrSignature, "the other issuer's key in this one's name", byHand(otherKey(), header, claims()))
	add(bearer.ErrSignature, "this issuer's key in the other's name", byHand(ecKey(), fields{"alg": "ES256"}, claims().with(fields{"iss": "https://other.example"})))
	add(bearer.ErrKey, "the other issuer's kid", byHand(otherKey(), header.with(fields{"kid": "other"}), claims()))

	head(bearer.ErrKey, "unknown kid", fields{"kid": "../../dev/null"})
	head(bearer.ErrKey, "no kid, several keys", fields{"kid": nil})
	head(bearer.ErrKey, "a kid of two keys", fields{"kid": "twin"})
	head(bearer.ErrKey, "a key for encryption", fields{"kid": "enc"})
	head(bearer.ErrKey, "a key of another kind", fields{"kid": "rsa"})
	head(bearer.ErrMalformed, "kid a number", fields{"kid": 1})
	add(bearer.ErrKey, "a key that is for another algorithm", signed(jose.RS256, "rs512", rsaKey(), nil, claims()))
	add(bearer.ErrAlgorithm, "an algorithm that is another issuer's", signed(jose.EdDSA, "ed", edKey(), nil, claims()))
	add(bearer.ErrAlgorithm, "PS256, which is not the issuer's", signed(jose.PS256, "rsa", rsaKey(), nil, claims()))
	head(bearer.ErrUnsupported, "crit", fields{"crit": []string{"exp"}, "exp": 1})
	head(bearer.ErrUnsupported, "crit b64", fields{"crit": []string{"b64"}, "b64": true})
	head(bearer.ErrUnsupported, "b64", fields{"b64": false})
	head(bearer.ErrUnsupported, "typ JOSE", fields{"typ": "JOSE"})
	head(bearer.ErrUnsupported, "typ logout+jwt", fields{"typ": "logout+jwt"})
	head(bearer.ErrUnsupported, "typ a number", fields{"typ": 1})
	head(bearer.ErrUnsupported, "nested", fields{"cty": "JWT"})
	add(bearer.ErrMalformed, "nested, and not said", byHand(ecKey(), header, good))
	head(bearer.ErrMalformed, "private key brought along", fields{"jwk": jose.JSONWebKey{Key: otherKey()}})
	head(bearer.ErrMalformed, "bad certificate brought along", fields{"x5c": []string{"AAAA"}})
	add(bearer.ErrMalformed, "header: not JSON", byHand(ecKey(), "alg", claims()))
	add(bearer.ErrMalformed, "header: null", byHand(ecKey(), "null", claims()))
	add(bearer.ErrMalformed, "header: twice the same", byHand(ecKey(), `{"alg":"ES256","kid":"rsa","kid":"ec"}`, claims()))
	add(bearer.ErrMalformed, "header: deep", byHand(ecKey(), `{"alg":"ES256","x":`+strings.Repeat("[", 11000)+strings.Repeat("]", 500)+`}`, "{}"))

	claim(bearer.ErrIssuer, "no iss", fields{"iss": nil})
	claim(bearer.ErrIssuer, "unknown iss", fields{"iss": "https://evil.example"})
	claim(bearer.ErrIssuer, "iss with a slash more", fields{"iss": issuer + "/"})
	claim(bearer.ErrIssuer, "iss in capitals", fields{"iss": strings.ToUpper(issuer)})
	claim(bearer.ErrMalformed, "iss a list", fields{"iss": []string{issuer}})
	claim(bearer.ErrIssuer, "ISS", fields{"iss": nil, "ISS": issuer})
	claim(bearer.ErrAudience, "no aud", fields{"aud": nil})
	claim(bearer.ErrAudience, "aud empty", fields{"aud": []string{}})
	claim(bearer.ErrAudience, "another's aud", fields{"aud": []string{"dlm2", "DLM", " dlm"}})
	claim(bearer.ErrMalformed, "aud a number", fields{"aud": 1})
	claim(bearer.ErrMalformed, "aud of numbers", fields{"aud": []any{audience, 1}})
	claim(bearer.ErrMalformed, "aud an object", fields{"aud": fields{audience: true}})
	claim(bearer.ErrMalformed, "no exp", fields{"exp": nil})
	claim(bearer.ErrMalformed, "exp a text", fields{"exp": "1e99"})
	claim(bearer.ErrMalformed, "exp out of bounds", fields{"exp": json.RawMessage("1e30")})
	claim(bearer.ErrMalformed, "exp true", fields{"exp": true})
	claim(bearer.ErrExpired, "expired now", fields{"exp": now.Unix()})
	claim(bearer.ErrExpired, "expired", fields{"exp": now.Add(-time.Hour).Unix()})
	claim(bearer.ErrExpired, "expired before time", fields{"exp": -1})
	claim(bearer.ErrNotYet, "nbf beyond leeway", fields{"nbf": now.Add(bearer.Leeway + time.Second).Unix()})
	claim(bearer.ErrNotYet, "iat beyond leeway", fields{"iat": now.Add(bearer.Leeway + time.Second).Unix()})
	claim(bearer.ErrMalformed, "nbf a text", fields{"nbf": "0"})
	claim(bearer.ErrSubject, "no sub", fields{"sub": nil})
	claim(bearer.ErrSubject, "sub empty", fields{"sub": ""})
	claim(bearer.ErrSubject, "sub too long", fields{"sub": strings.Repeat("s", bearer.MaxSubject+1)})
	claim(bearer.ErrSubject, "sub with a line's end", fields{"sub": "a\nb"})
	claim(bearer.ErrSubject, "sub that is not seen", fields{"sub": "a\u200bb"})
	claim(bearer.ErrSubject, "sub that is turned around", fields{"sub": "a\u202eb"})
	claim(bearer.ErrMalformed, "sub a number", fields{"sub": 7})
	add(bearer.ErrSubject, "payload: sub that is not UTF-8", byHand(ecKey(), header, strings.Replace(text, "system:", "\xff", 1)))

	raw("empty", "")
	raw("a list", "["+text+"]")
	raw("with more behind it", text+text)
	raw("twice the same", strings.Replace(text, "{", `{"sub":"root",`, 1))
	raw("deep", `{"x":`+strings.Repeat("[", 11000)+strings.Repeat("]", 500)+"}")
	raw("cut", text[:len(text)-1])
	add(bearer.ErrIssuer, "payload: null", byHand(ecKey(), header, "null"))
	return all
}

func TestBadTokensAreRefused(t *testing.T) {
	t.Parallel()
	v := open(t, twoIssuers(t)...)
	for _, b := range badTokens() {
		t.Run(b.name, func(t *testing.T) {
			got, err := v.Verify(b.token)
			if !errors.Is(err, b.want) || got != (bearer.Claims{}) {
				t.Fatalf("%+v, %v; want %v", got, err, b.want)
			}
			for part := range strings.SplitSeq(b.token, ".") {
				if len(part) > 3 && strings.Contains(err.Error(), part) {
					t.Errorf("%q repeats %q", err, part)
				}
			}
			if text := err.Error(); len(text) > 100 || strings.Contains(text, "example") || strings.Contains(text, "jose") {
				t.Errorf("%q is not short, or repeats what is in the token", text)
			}
		})
	}
	if v.Seen() != 0 {
		t.Errorf("%d of them are remembered", v.Seen())
	}
}

func TestARememberedTokenExpires(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(now.Unix())
	opts := at()
	opts.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
	v, err := bearer.Open(twoIssuers(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	token := byHand(ecKey(), fields{"alg": "ES256", "kid": "ec"}, claims())
	for _, step := range []struct {
		after time.Duration
		want  error
	}{{0, nil}, {time.Hour - time.Second, nil}, {time.Hour, bearer.ErrExpired}, {-time.Hour, bearer.ErrNotYet}} {
		clock.Store(now.Add(step.after).Unix())
		if _, err := v.Verify(token); !errors.Is(err, step.want) {
			t.Errorf("after %v: %v, want %v", step.after, err, step.want)
		}
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	v := open(t, twoIssuers(t)...)
	for i := range bearer.MaxSeen + 10 {
		token := byHand(ecKey(), fields{"alg": "ES256", "kid": "ec"}, claims().with(fields{"jti": strconv.Itoa(i)}))
		for range 2 {
			if _, err := v.Verify(token); err != nil {
				t.Fatal(err)
			}
		}
	}
	if v.Seen() != bearer.MaxSeen {
		t.Errorf("%d are remembered, want %d", v.Seen(), bearer.MaxSeen)
	}
}

func TestAKeyThatIsTakenFromAFileCountsNoMore(t *testing.T) {
	t.Parallel()
	all := twoIssuers(t)
	v := open(t, all...)
	old := byHand(ecKey(), fields{"alg": "ES256", "kid": "ec"}, claims())
	if _, err := v.Verify(old); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(all[0].JWKS, set(public("new", otherKey())), 0o600); err != nil {
		t.Fatal(err)
	}
	// The new key is looked for at once, the old one found to be gone by then.
	if _, err := v.Verify(byHand(otherKey(), fields{"alg": "ES256", "kid": "new"}, claims())); err != nil {
		t.Error(err)
	}
	if _, err := v.Verify(old); !errors.Is(err, bearer.ErrKey) {
		t.Errorf("%v, want %v", err, bearer.ErrKey)
	}
	// What is not a set of keys does not count; by itself a change is found as well.
	if err := os.WriteFile(all[0].JWKS, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(byHand(otherKey(), fields{"alg": "ES256", "kid": "new"}, claims())); err != nil {
		t.Error(err)
	}
	token := byHand(otherKey(), fields{"alg": "ES256"}, claims())
	if _, err := v.Verify(token); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(all[0].JWKS, set(public("newer", rsaKey())), 0o600); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, time.Minute, "the key to be gone", func() bool {
		_, err := v.Verify(token)
		return errors.Is(err, bearer.ErrKey)
	})
}

func TestFaultsOfAnIssuer(t *testing.T) {
	t.Parallel()
	good := bearer.Issuer{Issuer: issuer, Audience: audience, JWKS: "https://issuer.example/keys"}
	for name, c := range map[string]struct {
		change func(*bearer.Issuer)
		want   string
	}{
		"good":               {func(*bearer.Issuer) {}, ""},
		"a file":             {func(i *bearer.Issuer) { i.JWKS = "/etc/keys.json" }, ""},
		"all for Kubernetes": {func(i *bearer.Issuer) { i.CA, i.TokenFile = "ca.crt", "token" }, ""},
		"no issuer":          {func(i *bearer.Issuer) { i.Issuer = "" }, "issuer: is missing"},
		"issuer with #":      {func(i *bearer.Issuer) { i.Issuer += "#" }, "issuer: "},
		"long issuer":        {func(i *bearer.Issuer) { i.Issuer += strings.Repeat("x", 250) }, "issuer: "},
		"issuer unseen":      {func(i *bearer.Issuer) { i.Issuer += "\u200b" }, "issuer: "},
		"no audience":        {func(i *bearer.Issuer) { i.Audience = "" }, "audience: is missing"},
		"no keys":            {func(i *bearer.Issuer) { i.JWKS = "" }, "jwks: is missing"},
		"http":               {func(i *bearer.Issuer) { i.JWKS = "http://issuer.example/keys" }, "jwks: want"},
		"http on loopback":   {func(i *bearer.Issuer) { i.JWKS = "http://127.0.0.1/keys" }, "jwks: want"},
		"file URL":           {func(i *bearer.Issuer) { i.JWKS = "file:///etc/keys.json" }, "jwks: want"},
		"no host":            {func(i *bearer.Issuer) { i.JWKS = "https:///keys" }, "jwks: want"},
		"a user":             {func(i *bearer.Issuer) { i.JWKS = "https://a:b@issuer.example/keys" }, "jwks: want"},
		"a file with a CA":   {func(i *bearer.Issuer) { i.JWKS, i.CA = "/etc/keys.json", "ca.crt" }, "jwks-ca, jwks-token-file: "},
		"none":               {func(i *bearer.Issuer) { i.Algorithms = []string{"none"} }, "algorithms: "},
		"HMAC":               {func(i *bearer.Issuer) { i.Algorithms = []string{"ES256", "HS256"} }, "algorithms: "},
	} {
		t.Run(name, func(t *testing.T) {
			i := good
			c.change(&i)
			err := i.Validate()
			if c.want == "" != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err == nil {
				return
			}
			if _, err := bearer.Open([]bearer.Issuer{i}, at()); err == nil {
				t.Error("it is opened all the same")
			}
		})
	}
	if err := (bearer.Issuer{Algorithms: []string{"x"}}).Validate(); strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("%v, want all faults at once", err)
	}
	good.JWKS = filepath.Join(t.TempDir(), "absent")
	if err := good.Check(); err == nil || !strings.HasPrefix(err.Error(), "jwks: ") {
		t.Errorf("keys that are not there: %v", err)
	}
}

func TestOpenRefusesKeysThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	enc, operations := public("", ecKey()), strings.Replace(string(set(public("", ecKey()))), `"kty"`, `"key_ops":["sign"],"kty"`, 1)
	enc.Use = "enc"
	for name, text := range map[string]string{
		"nothing":        "",
		"not JSON":       "keys",
		"a PEM file":     "-----BEGIN PUBLIC KEY-----",
		"no keys":        "{}",
		"empty":          `{"keys":[]}`,
		"symmetric":      string(set(jose.JSONWebKey{Key: []byte("0123456789abcdef")})),
		"private":        string(set(jose.JSONWebKey{Key: ecKey()})),
		"weak":           string(set(public("", weakKey()))),
		"for encryption": string(set(enc)),
		"for signing":    operations,
		"unknown kind":   `{"keys":[{"kty":"DNA"}]}`,
		"not a point":    `{"keys":[{"kty":"EC","crv":"P-256","x":"` + encode(strings.Repeat("1", 32)) + `","y":"` + encode(strings.Repeat("2", 32)) + `"}]}`,
		"huge":           string(mixedKeys()) + strings.Repeat(" ", 1<<20),
	} {
		i := bearer.Issuer{Issuer: issuer, Audience: audience, JWKS: write(t, []byte(text))}
		if v, err := bearer.Open([]bearer.Issuer{i}, at()); err == nil {
			v.Close()
			t.Errorf("%s: taken", name)
		}
	}
	i := bearer.Issuer{Issuer: issuer, Audience: audience, JWKS: write(t, mixedKeys())}
	if _, err := bearer.Open([]bearer.Issuer{i, i}, at()); err == nil {
		t.Error("one issuer twice: taken")
	}
	i.JWKS += ".absent"
	if _, err := bearer.Open([]bearer.Issuer{i}, at()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	v := open(f, twoIssuers(f)...)
	good := byHand(ecKey(), fields{"alg": "ES256", "kid": "ec"}, claims())
	f.Add(good)
	for _, b := range badTokens() {
		if len(b.token) < 2000 {
			f.Add(b.token)
		}
	}
	// Nobody can make a token of an issuer's without its key, so what is accepted says the same.
	want, err := v.Verify(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := v.Verify(token); err == nil && got != want || err != nil && got != (bearer.Claims{}) {
			t.Errorf("%q: %+v, %v", token, got, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	v := open(b, twoIssuers(b)...)
	token := signed(jose.RS256, "rsa", rsaKey(), nil, claims().with(fields{"x": strings.Repeat("x", 600)})) // about a service account's
	b.Run("again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("forged", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(token[:len(token)-8] + "AAAAAAAA"); !errors.Is(err, bearer.ErrSignature) {
				b.Fatal(err)
			}
		}
	})
}
