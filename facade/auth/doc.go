// Package auth knows who a caller is and what it may do: identities, verbs and policies. It decides
// and does nothing; the facade's gate asks it about every call.
//
// # Identities
//
// An identity is a name that carries its kind, so that no two ways to prove who one is can be
// mistaken for each other:
//
//	spiffe:spiffe://example.org/ns/prod/sa/jobs   a certificate's only URI name
//	dns:cron.example.org                          a certificate's only DNS name
//	cn:alice                                      a certificate's common name
//	jwt:https://issuer.example.org#alice          a token's issuer and subject
//
// A server takes one kind from certificates, and no other if a certificate has not that one.
//
// # Policies
//
// A policy is a file of rules. A rule says of some identities, of some locks and all that are below
// them, which verbs are allowed and which denied. What no rule allows is denied. Of the rules that
// name the verb, and match the identity and the lock,
//
//   - those with the longest prefix of the lock's name count, by whole segments: jobs is a prefix
//     of jobs and jobs/nightly, and not of jobs2;
//   - of these, those that name the identity itself, if there are any, before those with a pattern;
//   - of these, one that denies before one that allows.
//
// A decision takes a walk down the segments of the lock's name, whatever the number of rules, and
// allocates nothing: the rules of an identity are arranged when it is first seen.
package auth
