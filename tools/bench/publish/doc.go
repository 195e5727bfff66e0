// Command publish measures what a section costs that is published in one call, client.Publish, and
// prints ratios as a Markdown table. All of it is on one machine: a server with an embedded etcd
// that it builds and starts, with fsync, its data below BENCH_DIR (by default /var/tmp), and so
// many clients in this process, which share eight connections, as they do in dlm bench:
//
//	locked   128 publish 256 B each to one lock, beside 128 that lock it, append 256 B, and unlock
//	mutex    the same, beside 128 that put 256 B under etcd's concurrency.Mutex
//	redis    the same, beside 128 that RPUSH 256 B each to one list of Redis, with appendfsync
//	         always and a connection each; left out where there is no redis-server
//	shared   64 publish 256 B each to files of their own, of one lock, beside 64 puts to etcd
//	own      the same, each to a lock of its own
//	single   the median time of one that publishes, beside that of one that puts
//	chain    one publishes 256 B, on the condition that the file is of the version that its last
//	         publish made, beside one that does so by etcd's STM, with the number of the last in a key
//	process  the median time of the whole process `dlm append`, beside `etcdctl put`, which is
//	         built
//
// Those of etcd use the client port of the same etcd; Redis runs while it is measured. A round has
// a server and data of its own, and one slice of each of them, in turn forwards and backwards; a
// ratio is the median of the rounds'. After each slice all files are read, but Redis' list is
// counted: each has every record that was acknowledged, once, and each client's in their order, or
// the program ends with 1. It does not for a bar that is missed.
//
// That folding keeps up is seen by the bundles that are not folded: in shared and own there are no
// more of them at the end than after five seconds, but for one of each client.
package main
