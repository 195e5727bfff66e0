#!/bin/sh
# Usage: image.sh BINARY TAG. Builds the image around a static Linux binary; `make image` builds that first.
set -eu
binary=$1
tag=$2
here=$(cd "$(dirname "$0")" && pwd)

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
chmod 755 "$context"
install -m 755 "$binary" "$context/dlm"
install -m 644 "$here/dlm.yaml" "$here/Dockerfile" "$context"
mkdir -m 700 "$context/data"
docker build --tag "$tag" "$context"
