#!/usr/bin/env bash
# Runs each fuzz target of the module for FUZZTIME, one after the other, and says of each how many
# inputs it was tried with. An input that fails is kept in the package's testdata, where plain `go
# test` finds it. Inputs that reach new code are kept in the go command's cache, for the next run;
# `go clean -fuzzcache` throws them away. Arguments are patterns of what to run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

GO=${GO:-go}
FUZZTIME=${FUZZTIME:-1m}
module=$($GO list -m)
cache=$($GO env GOCACHE)/fuzz
work=$(mktemp -d "${TMPDIR:-/tmp}/dlm-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT

# build makes a test binary that sees which code an input reaches: of the module, and of the parser
# that most inputs go through. `go test -fuzz` would have it see all of etcd and gRPC, which takes
# more than a minute to build and makes each input ten times slower.
build() {
	$GO test -c -gcflags="$module/...=-d=libfuzzer" -gcflags='encoding/json=-d=libfuzzer' -o "$work/test" "$1"
}

# wanted reports whether a target matches one of the patterns.
wanted() {
	local target=$1 pattern
	shift
	[ $# = 0 ] && return
	for pattern in "$@"; do [[ $target =~ $pattern ]] && return; done
	return 1
}

# try runs one target of the binary, in its package's directory.
try() {
	local package=$1 target=$2 log=$work/log code=0
	"$work/test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$FUZZTIME" -test.fuzzcachedir "$cache/$package" \
		</dev/null >"$log" 2>&1 || code=$?
	# Go 1.26 may take the end of the time for a failure (golang/go#75804). Then there is no input
	# that failed.
	if [ $code != 0 ] && grep -q '^ *context deadline exceeded$' "$log" && ! grep -q 'corpus entry\|Failing input' "$log"; then
		code=0
	fi
	if grep -q 'without coverage guidance' "$log"; then
		echo "$package $target: the binary does not see which code is reached; see build in this script" >&2
		return 1
	fi
	if [ $code != 0 ]; then
		cat "$log"
		sed -n "s|^ *Failing input written to |$package $target FAILED, for the input in ${package#"$module/"}/|p" "$log"
		return 1
	fi
	printf '%-28s %-24s %s\n' "${package#"$module/"}" "$target" \
		"$(sed -n 's/^fuzz: elapsed.*execs: \([0-9]*\) .*interesting: \([0-9]*\) (total: \([0-9]*\)).*/\1 inputs, \2 new interesting ones of \3/p' "$log" | tail -n 1)"
}

ran=0 failed=()
while read -r package dir; do
	grep -qs '^func Fuzz' "$dir"/*_test.go || continue
	build "$package"
	for target in $(cd "$dir" && "$work/test" -test.list '^Fuzz' | grep '^Fuzz'); do
		wanted "$target" "$@" || continue
		ran=$((ran + 1))
		(cd "$dir" && try "$package" "$target") || failed+=("$target")
	done
done < <($GO list -f '{{.ImportPath}} {{.Dir}}' ./...)

if [ $ran = 0 ]; then
	echo 'there is no such fuzz target' >&2
	exit 1
fi
if [ ${#failed[@]} != 0 ]; then
	echo "$ran fuzz targets, of which ${#failed[@]} failed: ${failed[*]}" >&2
	exit 1
fi
echo "$ran fuzz targets, $FUZZTIME each: none failed"
