// Package collectors has Prometheus collectors that libraries register as they are initialised wait
// until something is asked of the registry. Etcd's server registers two hundred, each by a
// goroutine, and as the main one is locked to its thread meanwhile, each takes two switches of
// threads: a fifth of what the start of a process costs, most of which only publish or read.
//
// The package is imported for that alone. Of the packages that could be initialised next, Go takes
// the one whose import path sorts first, so this one is before etcd's. If it were not, the
// collectors would be registered at once, and nothing else would change.
package collectors
