// Package metrics counts what a server does, for Prometheus: docs/metrics.md says what each metric
// means, and a test holds the two together.
//
// What happens is counted as it happens, by the [etcdstore.Observer] that a [Metrics] is, and by
// its Called and Refused. All that these need is found beforehand, so that they allocate nothing
// and take some ten nanoseconds. What is, such as how many locks are held, is asked for by each
// scrape.
//
// No name that a client has chosen is the value of a label. A lock counts under one of a few
// prefixes that the configuration lists, and a method under its own name only if there is one.
package metrics
