"""What the tests stand on: servers that can be killed, and a network that can be made to fail."""

import json
import os
import re
import subprocess
import threading
import time
from concurrent import futures

import grpc

DLM = os.environ["DLM"]  # the binary
PATIENCE = 30  # seconds; bounds everything that is waited for


class Server:
    """A `dlm server` on a free port, which it keeps when it is started again with the same data."""

    def __init__(self, data, *flags):
        self.address = "127.0.0.1:0"
        self._data = data
        self._flags = flags
        self._process = None
        self.start()

    def start(self):
        """Start it, and return when it serves."""
        command = [DLM, "server", "--listen", self.address, "--data-dir", self._data, "--log-level", "error"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DLM_")}
        self._process = subprocess.Popen(
            command + list(self._flags), env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        timer = threading.Timer(PATIENCE, self._process.kill)
        timer.start()
        try:
            ready = re.match(r"dlm is ready on ([^,]+),", self._process.stdout.readline())
        finally:
            timer.cancel()
            timer.join()
        if not ready:
            self.kill()
            raise RuntimeError("the server did not start")
        self.address = ready.group(1)

    def kill(self):
        """Kill it, as a crash does. A repeat does nothing."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def read(self, filename):
        """Return what readers see in a file."""
        return self._dlm("cat", "default", filename)

    def waiters(self):
        """Return how many clients wait for the lock."""
        return len(json.loads(self._dlm("status", "default", "--json")).get("waiters", []))

    def _dlm(self, *args):
        command = [DLM, "--endpoints", self.address, *args]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE).stdout


class Network(grpc.GenericRpcHandler):
    """A way to a server on which a call can be lost.

    faults: a method's name to a list of what happens to its next calls: REQUEST_LOST, REPLY_LOST, a gRPC status code, or
    a message, which is then the answer. Calls beyond the list pass.
    """

    REQUEST_LOST = "request lost"
    REPLY_LOST = "reply lost"

    def __init__(self, server):
        self.faults = {}
        self.seen = []  # method and request of every call
        self._channel = grpc.insecure_channel(server, [("grpc.enable_http_proxy", 0)])
        self._front = grpc.server(futures.ThreadPoolExecutor(32), handlers=[self])
        self.address = f"127.0.0.1:{self._front.add_insecure_port('127.0.0.1:0')}"
        self._front.start()

    def close(self):
        """Stop it."""
        self._front.stop(None).wait()
        self._channel.close()

    def requests(self, method):
        """Return the requests of a method's calls so far."""
        return [request for name, request in self.seen if name == method]

    def service(self, details):
        """Answer a call, whatever it is: its request and its answer are just bytes here."""
        name = details.method.rsplit("/", 1)[1]

        def handle(request, context):
            self.seen.append((name, request))
            planned = self.faults.get(name)
            fault = planned.pop(0) if planned else None
            if isinstance(fault, grpc.StatusCode):
                context.abort(fault, "as planned")
            if hasattr(fault, "SerializeToString"):
                return fault.SerializeToString()
            if fault == self.REQUEST_LOST:
                return self._lost(context)
            try:
                answer = self._channel.unary_unary(details.method)(request, timeout=context.time_remaining())
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            return self._lost(context) if fault == self.REPLY_LOST else answer

        return grpc.unary_unary_rpc_method_handler(handle)

    @staticmethod
    def _lost(context):
        """Answer nothing until the caller does not wait any more."""
        gone = threading.Event()
        if context.add_callback(gone.set):
            gone.wait(PATIENCE)
        return b""


def eventually(condition):
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("did not happen in time")
        time.sleep(0.02)
