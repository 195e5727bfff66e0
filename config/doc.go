// Package config reads what `dlm server` is told: command-line flags, before the environment,
// before a YAML file, before the defaults.
//
// The environment variable of a key is DLM_ and the key in capitals with . and - as _, so
// DLM_ETCD_ENDPOINTS for etcd.endpoints; variables of that form which belong to no key are not
// looked at, because Kubernetes and the client commands have theirs. One that is set but empty
// counts as an empty value. A list in the environment is separated by commas. A key that the file
// should not have is a fault; so is a file that is named and cannot be used.
//
// All faults of a configuration are reported together, each with key, value and what would have
// been right.
package config
