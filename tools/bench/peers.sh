#!/usr/bin/env bash
# The whole table: dlm beside etcd, Redis, ZooKeeper and PostgreSQL, all on loopback with fsync on. Where one of Debian's
# packages is missing it is installed, if this is root and there is apt-get; otherwise its system is left out.
# Arguments are those of `dlm bench`, and replace the script's choice of what is measured.
. "$(dirname "$0")/common.sh"

redis_port=$(free_port)
zookeeper_port=$(free_port)
postgres_port=$(free_port)
postgres_bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; }

there() {
	case $1 in
	redis-server) command -v redis-server >/dev/null ;;
	zookeeper) [ -f /usr/share/java/zookeeper.jar ] && command -v java >/dev/null ;;
	postgresql) [ -n "$(postgres_bin)" ] ;;
	esac
}

# install PACKAGE... without starting what is in them.
install() {
	local policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
		trap "rm -f $policy; cleanup" EXIT
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update && apt-get install -y --no-install-recommends "$@"
}

missing=()
for package in redis-server zookeeper postgresql; do
	there $package || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "bench-peers: skipped what needs ${missing[*]}: not installed, and only root can install it" >&2
	elif ! command -v apt-get >/dev/null; then
		echo "bench-peers: skipped what needs ${missing[*]}: not installed, and there is no apt-get" >&2
	elif ! install "${missing[@]}" >"$work/apt.log" 2>&1; then
		tail -n 5 "$work/apt.log" >&2
		echo "bench-peers: skipped what needs ${missing[*]}: apt-get could not install it" >&2
	fi
fi

start_redis() {
	mkdir "$work/redis"
	redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$work/redis" --save '' \
		--appendonly yes --appendfsync always >"$work/redis.log" 2>&1 &
	pids+=($!)
	answers "$redis_port" $!
}

start_zookeeper() {
	mkdir "$work/zookeeper"
	cat >"$work/zoo.cfg" <<-END
		dataDir=$work/zookeeper
		clientPort=$zookeeper_port
		clientPortAddress=127.0.0.1
		tickTime=2000
		maxClientCnxns=0
		maxSessionTimeout=60000
		admin.enableServer=false
	END
	java -cp "$work:/usr/share/java/zookeeper.jar" org.apache.zookeeper.server.quorum.QuorumPeerMain \
		"$work/zoo.cfg" >"$work/zookeeper.log" 2>&1 &
	pids+=($!)
	answers "$zookeeper_port" $!
}

# PostgreSQL does not run as root.
start_postgres() {
	local as=()
	mkdir "$work/postgres"
	if [ "$(id -u)" = 0 ]; then
		chmod 711 "$work"
		chown postgres "$work/postgres"
		as=(setpriv --reuid postgres --regid postgres --init-groups)
	fi
	local bin
	bin=$(postgres_bin)
	"${as[@]}" "$bin/initdb" -D "$work/postgres/data" -U postgres -A trust >"$work/postgres.log" 2>&1
	"${as[@]}" "$bin/postgres" -D "$work/postgres/data" -h 127.0.0.1 -p "$postgres_port" -k "$work/postgres" \
		-c fsync=on -c synchronous_commit=on -c max_connections=1200 >>"$work/postgres.log" 2>&1 &
	pids+=($!)
	answers "$postgres_port" $!
}

# measure SYSTEM ARGS
failed=0
measure() {
	echo "== $1"
	bench --against "$@" || {
		echo "bench-peers: $1 could not be measured to the end" >&2
		failed=1
	}
	echo
}

# against SYSTEM PACKAGE ENDPOINT ARGS measures a system that is started for it and stopped again.
against() {
	local system=$1 package=$2 endpoint=$3
	shift 3
	there "$package" || return 0
	if ! "start_$system"; then
		tail -n 20 "$work/$system.log" >&2
		echo "bench-peers: skipped $system: it did not start" >&2
		return 0
	fi
	measure "$system" --peer-endpoint "$endpoint" "$@"
	local last=${pids[-1]}
	kill "$last" 2>/dev/null || true
	wait "$last" 2>/dev/null || true
	unset 'pids[-1]'
}

start_dlm
(cd cmd/dlm-bench-peers && "$GO" build -trimpath -o "$work/dlm-bench-peers" .)
cycles=(--workload own,one,try,mixed --clients 1,16,128)
many=(--workload own,one,try,mixed --clients 1,16,128,1000)
if [ $# = 0 ]; then
	measure etcd --workload append --clients 1,16,64,128
else
	cycles=("$@") many=("$@")
fi
measure etcd "${many[@]}"
against redis redis-server "127.0.0.1:$redis_port" "${many[@]}"
against zookeeper zookeeper "127.0.0.1:$zookeeper_port" "${cycles[@]}"
against postgres postgresql "postgres://postgres@127.0.0.1:$postgres_port/postgres" "${cycles[@]}"
exit $failed
