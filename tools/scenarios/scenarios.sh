#!/usr/bin/env bash
# Plays the fault scenarios, and prints the table of what a reader found and the story of each. If
# one fails, it also prints what the tests had to say, and fails. Arguments are given to `go test`,
# as in "-run 4e".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d "${TMPDIR:-/tmp}/dlm-scenarios.XXXXXX")
trap 'rm -rf "$work"' EXIT
code=0
"${GO:-go}" test -tags scenarios -count=1 -timeout 15m "$@" ./tools/scenarios -args -story "$work/story" >"$work/log" 2>&1 || code=$?
if [ -s "$work/story" ]; then
	cat "$work/story"
elif [ "$code" = 0 ]; then
	echo 'no scenario was played' >&2
	code=1
fi
if [ "$code" != 0 ]; then
	printf '\nFAILED. What the tests said:\n\n' >&2
	cat "$work/log" >&2
	exit "$code"
fi
