// Package bearer says whose a bearer token is: a JSON Web Token (RFC 7519) that one of some issuers
// has signed for this audience.
//
// # What a token has to be
//
// It is a JWS in its compact form (RFC 7515), of [MaxToken] bytes at most, with one signature. Its
// type is JWT, at+jwt, or not said. It names no extension that is to be understood (crit), and has
// no other token in it (cty JWT); one that is encrypted, a JWE, is refused.
//
//	iss   names an issuer, exactly. Before the signature is verified it serves to choose the issuer,
//	      and for nothing else
//	alg   is one of that issuer's algorithms, which is looked at before any key is. Signatures of
//	      HMAC, and none at all (alg none), are never accepted, so no public key can be made a
//	      secret
//	kid   names the key, which is one of that issuer's own. Without it, one key alone must fit the
//	      algorithm. What a key says of its own use, operations and algorithm counts, and its kind
//	      has to be the algorithm's. Keys that a token brings along or points at (jwk, jku, x5c,
//	      x5u) are never used
//	aud   has the issuer's audience among its own
//	exp   is there, and has not come: to the second, without leeway
//	nbf   and iat, if there, have come: clocks may be apart by a minute, [Leeway]
//	sub   is there: printable, and [MaxSubject] bytes at most
//
// An error says which of these it is, and never repeats anything of the token.
//
// A token that was verified is remembered by its SHA-256, and costs next to nothing when it comes
// again; its times are looked at each time, and it is verified again once the issuer's keys change.
// A token that is withdrawn before it expires is not known to be: that is for the policy's list of
// what is revoked.
//
// # Where keys come from
//
// A JSON Web Key Set (RFC 7517), of which symmetric keys, private ones and those that no algorithm
// here is for are left out, with a line in the log. A set that has no other is an error.
//
// A file is read again when it changes. From a URL, which is https always, the set is fetched in
// the background at the start, and every ten minutes from then on; after a failure, or when a token
// names a key that is not known, again at once, but not within ten seconds of the last time. The
// token's caller waits two seconds for that at most. Until the first set is there its issuer's
// tokens are refused. When a file or a URL fails, the last good set counts: whoever withdraws a key
// sees to it that the set without it can be read.
//
// The URL is asked directly: no proxy of the environment is used, no other host is followed to, and
// what answers has to show a certificate for the host's name by an authority of the system's, or of
// Issuer.CA. A set is 1 MiB at most, and comes within five seconds.
//
// # Kubernetes
//
// A projected service account token with the audience dlm is such a token. Its issuer is what
// `kubectl get --raw /.well-known/openid-configuration` says; its keys are the API server's, which
// wants to know who asks. So a server in the cluster is configured with
//
//	issuer:          https://kubernetes.default.svc.cluster.local
//	audience:        dlm
//	jwks:            https://kubernetes.default.svc/openid/v1/jwks
//	jwks-ca:         /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
//	jwks-token-file: /var/run/secrets/kubernetes.io/serviceaccount/token
package bearer
