#!/bin/sh
# Builds the image around static Linux binaries, with the labels that say which commit they are of. `make image` and
# `make images` build those first.
#
# Usage: image.sh BINARY TAG           for one platform, with docker
#        image.sh --all DIR BINARY...  for several, with buildah, into a directory, which `skopeo copy --all dir:DIR` pushes
set -eu
here=$(cd "$(dirname "$0")" && pwd)

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
chmod 755 "$context"
install -m 644 "$here/dlm.yaml" "$here/Dockerfile" "$context"
mkdir -m 700 "$context/data"

# What the go command has put into a binary, as "GOARCH" or "vcs.time".
setting() {
	printf '%s\n' "$info" | sed -n "s/^\tbuild\t$1=//p"
}

# Puts a binary where the Dockerfile looks for it.
add() {
	info=$("${GO:-go}" version -m "$1")
	arch=$(setting GOARCH)
	if [ "$(setting GOOS)" != linux ] || [ -z "$arch" ]; then
		echo "image.sh: $1 is no binary for Linux" >&2
		exit 1
	fi
	mkdir -p "$context/$arch"
	install -m 755 "$1" "$context/$arch/dlm"
	version=$(printf '%s\n' "$info" | awk -F '\t' '$2 == "mod" {print $4}')
	revision=$(setting vcs.revision)
	created=$(setting vcs.time)
}

# build COMMAND...
build() {
	"$@" --build-arg TARGETARCH="$arch" --build-arg VERSION="$version" --build-arg REVISION="$revision" \
		--build-arg CREATED="$created" "$context"
}

if [ "$1" != --all ]; then
	add "$1"
	build docker build --tag "$2"
	exit
fi

dir=$2
shift 2
# With storage of its own, of which nothing is left, and no daemon.
buildah() {
	command buildah --root "$context.storage" --runroot "$context.run" --storage-driver vfs "$@"
}
trap 'rm -rf "$context" "$context.storage" "$context.run"' EXIT
buildah manifest create dlm >/dev/null
for binary; do
	add "$binary"
	# In Docker's format, for OCI's has no health check. The same binaries make the same layers, whenever that is.
	build buildah bud --quiet --isolation chroot --format docker --manifest dlm --platform "linux/$arch" \
		--timestamp "$(date -d "${created:-@0}" +%s)"
done
buildah manifest push --all --format v2s2 dlm "dir:$dir"
