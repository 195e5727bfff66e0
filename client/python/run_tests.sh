#!/bin/sh
# Tests the Python client against servers that it builds and starts. PYTHON: an interpreter that has grpcio and grpcio-tools.
set -eu
cd "$(dirname "$0")"
PYTHON=${PYTHON:-/usr/bin/python3}

if ! "$PYTHON" -c 'import grpc, grpc_tools' 2>/dev/null; then
	echo "skipped: the Python client's tests: $PYTHON has no grpcio and grpcio-tools (Debian: python3-grpcio, python3-grpc-tools)"
	exit 0
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${GO:-go}" build -o "$dir/dlm" ../../cmd/dlm
PYTHON=$PYTHON ./generate.sh
DLM=$dir/dlm PYTHONDONTWRITEBYTECODE=1 "$PYTHON" -W error::ResourceWarning -m unittest -v test_client
