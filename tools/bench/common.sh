# Sourced by the scripts beside it: a server with data of its own, which is thrown away at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

GO=${GO:-go}
work=$(mktemp -d "$(realpath "${BENCH_DIR:-/var/tmp}")/dlm-bench.XXXXXX")
pids=()

# cleanup ends what was started, by force if it takes long, and removes what is left of it.
cleanup() {
	trap - EXIT
	trap '' INT TERM
	local pid i
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	for ((i = 0; i < 200; i++)); do
		kill -0 "${pids[@]}" 2>/dev/null || break # none of them is there any more
		sleep 0.1
	done
	for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ "$(stat -f -c %T "$work")" = tmpfs ]; then
	echo "warning: $work is in memory, where fsync costs nothing; name a directory on a disk in BENCH_DIR" >&2
fi

# free_port prints a port of loopback that nobody listens on, below those that the system gives out by itself.
free_port() {
	local port
	while true; do
		port=$((20000 + RANDOM % 10000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo $port
			return
		fi
	done
}

# answers PORT PID waits until the process listens on the port of loopback.
answers() {
	local i
	for ((i = 0; i < 300; i++)); do
		if ! kill -0 "$2" 2>/dev/null; then return 1; fi
		if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return 0; fi
		sleep 0.1
	done
	return 1
}

# start_dlm builds dlm and starts a server with embedded etcd, whose client port is open.
start_dlm() {
	"$GO" build -trimpath -o "$work/dlm" ./cmd/dlm
	dlm_addr=127.0.0.1:$(free_port)
	etcd_addr=127.0.0.1:$(free_port)
	"$work/dlm" server --listen "$dlm_addr" --data-dir "$work/data" --cluster-client-listen "$etcd_addr" \
		--log-level warn >"$work/dlm.out" 2>"$work/dlm.log" &
	dlm_pid=$!
	pids+=("$dlm_pid")
	local i
	for ((i = 0; i < 300; i++)); do
		if [ -s "$work/dlm.out" ]; then return 0; fi
		if ! kill -0 "$dlm_pid" 2>/dev/null; then break; fi
		sleep 0.1
	done
	cat "$work/dlm.log" >&2
	return 1
}

# bench ARGS runs dlm bench against that server.
bench() {
	"$work/dlm" bench --endpoints "$dlm_addr" --etcd-endpoints "$etcd_addr" --server-pid "$dlm_pid" "$@"
}
