// Package certs is how this project's servers and clients use certificates: what they show, whom
// they trust, and whom no longer. All of it is in PEM files that are reread when they change.
//
// A certificate is verified against the authorities, for its use and this moment, and each of its
// chain but the root against the lists of revoked certificates (CRLs) of its issuer. A list counts
// only if its issuer has signed it. A certificate whose serial number is in a list of its issuer is
// refused. So is every certificate of an issuer whose lists have all expired, for they say nothing
// of today: that is what OpenSSL does, and so NGINX, HAProxy and PostgreSQL; etcd does not look at
// the date. Other than with OpenSSL, an issuer of whom there is no list revokes nothing, so that a
// list can be given for one authority of several. Where several chains lead to an authority, one
// that is good is enough.
//
// Limits: lists come from files, never from where a certificate points to; OCSP is not spoken;
// lists that are only part of one, or of other issuers' certificates, are refused when they are
// loaded.
package certs
