#!/usr/bin/env bash
# A short measurement of dlm beside etcd's own mutex on the same etcd, with fsync on. Arguments are those of `dlm bench`,
# and replace the script's choice of what is measured.
. "$(dirname "$0")/common.sh"

start_dlm
if [ $# = 0 ]; then
	set -- --workload own,one,append --clients 1,16,128 --duration 2s --warmup 500ms --runs 3
fi
bench --against etcd "$@"
