#!/bin/sh
# Usage: tools/release/pages.sh DIR. Writes into a directory what a release has beside the binaries that is made by a binary: the
# manual pages, and the completions for shells.
set -eu
dir=$1
mkdir -p "$dir/completions"
CGO_ENABLED=0 "${GO:-go}" build -trimpath -buildvcs=true -o "$dir/dlm" ./cmd/dlm
"$dir/dlm" man "$dir/man"
for shell in bash zsh fish powershell; do
	"$dir/dlm" completion "$shell" >"$dir/completions/dlm.$shell"
done
