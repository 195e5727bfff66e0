// Command dlm-bench-peers is what `dlm bench --against redis|zookeeper|postgres` runs: one slice of
// load on another system, whose figures it prints as one JSON row. It is in a Go module of its own,
// so that the clients of those systems never enter dlm's dependencies; the loop is the same.
package main
