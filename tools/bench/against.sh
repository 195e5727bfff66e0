#!/usr/bin/env bash
usage() {
	cat <<'END'
Usage: tools/bench/against.sh REV [flags] [-- flags of dlm bench]
       tools/bench/against.sh --secure [REV] [flags] [-- flags of dlm bench]
       tools/bench/against.sh --watched [REV] [flags] [-- flags of dlm bench]

Holds the working tree, as it is, against the commit REV. Both are built. For each pair of slices a server of either is
started, each with an embedded etcd and fresh data of its own, with fsync, on the same file system (below BENCH_DIR, by
default /var/tmp). The working tree's `dlm bench` loads one of them after the other: new, old, then old, new, and so on.
Both have this script's environment without DLM_*, and so the same GOGC and GOMAXPROCS. Everything is removed at the end.
Nothing else should run on the machine meanwhile. All of it takes some 30 minutes by default.

With --secure the working tree's server speaks TLS, knows its clients by their certificates, which are made for the
purpose, and asks a policy of 1,000 rules what they may do; REV's has nothing of it. Without REV that is the working
tree as well: what is measured is what this costs.

With --watched the working tree's server is scraped each second and has a web page open, and REV's has no admin address.
Without REV that is the working tree as well.

  --secure          TLS, client certificates and a policy for the working tree's server
  --watched         metrics that are scraped, and an open page, for the working tree's server
  --workload LIST   workloads, separated by commas (default own,one,append)
  --clients LIST    numbers of clients, separated by commas (default 1,16,128)
  --pairs N         how many pairs of each workload with each number of clients (default 20)
  --duration D      how long the clock runs in a slice (default 3s)
  --warmup D        how long the load runs before (default 500ms)
  --bar RATIO       say whether each ratio reaches this, and exit with 1 if one does not, such as 0.97
  --limit D         how long all measuring may take, in the words of timeout(1) (default 2h)

Printed for each workload and number of clients: the median of the operations a second of dlm (the working tree) and of
other-dlm (REV); the median of the ratios new/old, pair by pair; and the interval in which that median lies with 95 %
confidence, by 10,000 bootstrap samples of the pairs, drawn from a fixed seed.

A ratio REACHES the bar if the upper end of that interval is at the bar or above: what was measured does not contradict
that the working tree is at least so fast. It does not prove it either: an interval from 0.80 to 0.98 reaches 0.97, too.
Look at the lower end as well, and take more pairs if the interval is wide. Not to reach the bar is evidence that the
working tree is slower than the bar; of ratios that are exactly at the bar, about one in forty does not reach it.

Exit code: 0 measured, and every bar reached; 1 a bar was not reached, or a build or a server failed; 64 wrong arguments,
or no such commit; 124 the limit was over.
END
}

wrong() {
	echo "against: $*; see tools/bench/against.sh --help" >&2
	exit 64
}

rev='' secure='' watched='' workloads=own,one,append clients=1,16,128 pairs=20 duration=3s warmup=500ms bar=0 limit=2h
while [ $# -gt 0 ]; do
	flag=$1
	case $flag in
	--help | -h)
		usage
		exit 0
		;;
	--)
		shift
		break
		;;
	--secure)
		secure=--secure
		shift
		;;
	--watched)
		watched=--watched
		shift
		;;
	--*=*)
		set -- "${flag%%=*}" "${flag#*=}" "${@:2}"
		continue
		;;
	--workload | --clients | --pairs | --duration | --warmup | --bar | --limit)
		[ $# -gt 1 ] || wrong "$flag needs a value"
		case $flag in
		--workload) workloads=$2 ;;
		--clients) clients=$2 ;;
		--pairs) pairs=$2 ;;
		--duration) duration=$2 ;;
		--warmup) warmup=$2 ;;
		--bar) bar=$2 ;;
		--limit) limit=$2 ;;
		esac
		shift 2
		;;
	-*) wrong "no flag $flag" ;;
	*)
		[ -z "$rev" ] || wrong "one commit, not \"$rev\" and \"$flag\""
		rev=$flag
		shift
		;;
	esac
done
[ -z "$secure" ] || [ -z "$watched" ] || wrong "--secure and --watched are measured one by one"
[ -n "$rev$secure$watched" ] || wrong "which commit is it to be held against?"
[[ $pairs =~ ^[1-9][0-9]*$ ]] || wrong "--pairs $pairs: want a number from 1"
[[ $limit =~ ^[0-9]*\.?[0-9]+[smhd]?$ ]] || wrong "--limit $limit: want a time such as 2h"
[[ $bar =~ ^[0-9]*\.?[0-9]+$ ]] || wrong "--bar $bar: want a number such as 0.97"

. "$(dirname "$0")/common.sh"

[ -z "$rev" ] || commit=$(git rev-parse --verify --quiet "$rev^{commit}") ||
	wrong "no commit \"$rev\" here (neither is there one in a copy of the source without its history, or in a shallow clone)"

# build SOURCE BINARY. Without -trimpath: what the tests have compiled is not compiled again.
build() { (cd "$1" && "$GO" build -buildvcs=false -o "$2" ./cmd/dlm); }

if [ -n "$rev" ]; then
	mkdir "$work/source"
	git archive "$commit" | tar -x -C "$work/source"
	build "$work/source" "$work/old" || {
		echo "against: $rev could not be built" >&2
		exit 1
	}
	rm -rf "$work/source"
fi
build . "$work/new"
# The load is made by a copy, and so is what is held against itself. Two processes of one file have
# its code in memory, and in the processor's caches, only once: that alone makes the new server some
# percent faster than an equal one.
cp "$work/new" "$work/load"
[ -n "$rev" ] || cp "$work/new" "$work/old"

echo "dlm        the working tree, $(git describe --tags --always --dirty)${secure:+, with TLS, client certificates and a policy}${watched:+, scraped, and with a page open}"
if [ -n "$rev" ]; then
	echo "other-dlm  $rev, $(git log -1 --format='%h %s' "$commit")"
else
	echo "other-dlm  the same without"
fi
echo "GOGC ${GOGC:-as they choose}, GOMAXPROCS ${GOMAXPROCS:-$(nproc)}; $pairs pairs of $duration"
echo

# In the background, so that a signal to this script alone ends it as well. The limit is a process
# beside it: one in between, such as timeout, may be ended before it knows what it has started.
"$work/load" bench --against dlm --builds "$work/new,$work/old" $secure $watched --data-dir "$work" \
	--workload "$workloads" --clients "$clients" --runs "$pairs" --duration "$duration" --warmup "$warmup" \
	--bar "$bar" "$@" &
load=$!
sleep "$limit" &
pids+=("$load" $!)
code=0
wait -n || code=$?
if kill -0 "$load" 2>/dev/null; then
	echo "against: not done after $limit" >&2
	code=124
fi
exit $code
