#!/bin/sh
# Makes lock_service_pb2.py and lock_service_pb2_grpc.py, which the client imports, beside it.
# PYTHON: an interpreter that has grpcio and grpcio-tools.
set -eu
cd "$(dirname "$0")"
exec "${PYTHON:-/usr/bin/python3}" -m grpc_tools.protoc -I ../../facade/api/lock_service \
	--python_out=. --grpc_python_out=. lock_service.proto
