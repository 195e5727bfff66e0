"""The coursework's lock client: five calls, and all that makes them safe to repeat.

    client = LockClient(["localhost:50051"])
    client.RPC_init()
    client.RPC_lock_acquire()                  # blocks until it is this client's turn
    client.RPC_append_file("file_0", b"one\n")
    client.RPC_lock_release()                  # what was appended can now be read, all of it at once
    client.RPC_close()

Every call has an id, "<client id>-<counter>", and keeps it however often it is repeated: the server answers a repeat as it
answered the first one, and does nothing twice. A call that fails is repeated after growing pauses. After the last pause
the client looks for a server that answers a Ping, and goes on there. It never gives up by itself, as only the servers
know what became of a call; what it waits for, it logs as a warning, which Python prints unless told otherwise. ctrl-C ends
the waiting for the lock; who acquires it again soon is where it was in the queue, for others the place goes when no
heartbeats come. Heartbeats, in a thread of their own, tell
the servers that the client is alive.

What was appended and not released is undone when the lock is lost. A client that had the lock and has lost it is therefore
told so once, with TIMEOUT_ERROR, before an append acquires the lock again: the section has to be done again from its
beginning.

lock_service_pb2 and lock_service_pb2_grpc are made from the proto file by generate.sh.
"""

import logging
import os
import threading
import time

try:
    import grpc
except ImportError as error:
    raise ImportError("this Python has no grpcio: apt-get install python3-grpcio, or pip install grpcio") from error

try:
    import lock_service_pb2 as pb
    import lock_service_pb2_grpc as pb_grpc
except ModuleNotFoundError as error:
    if error.name not in ("lock_service_pb2", "lock_service_pb2_grpc"):
        raise
    raise ImportError(
        f"{error.name} has not been generated: run {os.path.join(os.path.dirname(os.path.abspath(__file__)), 'generate.sh')}"
    ) from error

SUCCESS = pb.SUCCESS  # 0: done
FILE_ERROR = pb.FILE_ERROR  # 1: there is no such file, or the call makes no sense
TIMEOUT_ERROR = pb.TIMEOUT_ERROR  # 2: the lock is not held, or not any more

#: Where servers are looked for.
DEFAULT_SERVERS = tuple(f"localhost:{port}" for port in range(50051, 50055))

# Refused by gRPC itself, and so by every server: trying again would not help.
_FINAL = (
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)

_log = logging.getLogger(__name__)

_OPTIONS = [
    # A server that has come back is found again within a second, and one that has vanished is noticed.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 10000),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.enable_http_proxy", 0),
]


class LockClient:
    """One client of the lock. Not to be shared by threads: give each of them a client of its own.

    servers    addresses, "host:port"; any of them serves any client
    pauses     seconds between the tries of a call that fails, before another server is looked for
    again      seconds before a call is repeated that was answered "not yet"
    heartbeat  seconds between heartbeats
    timeout    seconds to wait for the answer of a call that does not wait for the lock
    wait       seconds to wait for the lock before it is asked for again; the place in the queue is kept

    A call before RPC_init or after RPC_close raises RuntimeError, one that no server will ever answer grpc.RpcError.
    """

    def __init__(self, servers=DEFAULT_SERVERS, *, pauses=(1, 2, 4, 8, 16), again=5, heartbeat=5, timeout=10, wait=60):
        self.client_id = 0  # 0: RPC_init has not been called
        self._servers = tuple(servers)
        if not self._servers or isinstance(servers, str):
            raise ValueError(f'servers is {servers!r}: want a list, such as ["localhost:50051"]')
        self._channels = [grpc.insecure_channel(server, _OPTIONS) for server in self._servers]
        self._stubs = [pb_grpc.LockServiceStub(channel) for channel in self._channels]
        self._at = 0  # which of them is asked
        self._pauses = tuple(pauses)
        self._again = again
        self._heartbeat = heartbeat
        self._timeout = timeout
        self._wait = wait
        self._counter = 0
        self._holding = False  # as far as the client knows
        self._closing = threading.Event()
        self._beats = None  # the thread of the heartbeats
        self._waiting = False  # for a server, which has been said
        self._given_up = False  # waiting for the lock: heartbeats would keep a place that nobody wants, and then the lock

    def RPC_init(self):
        """Register with a server, and return the client's id, which is above 0."""
        self._check(registered=False)
        self.client_id = self._call("client_init", pb.Int(rc=0)).rc
        return self.client_id

    def RPC_lock_acquire(self):
        """Wait for the lock, first come first served. Returns SUCCESS, at once if the lock is held already."""
        self._check()
        self._start_heartbeats()
        self._given_up = False
        request = pb.lock_args(client_id=self.client_id, request_id=self._next_id())
        try:
            while self._call("lock_acquire", request, self._wait).status != SUCCESS:
                time.sleep(self._again)
        except BaseException:
            self._given_up = not self._holding
            raise
        self._holding = True
        return SUCCESS

    def RPC_append_file(self, filename, content):
        """Append bytes, or a string as UTF-8, to one of file_0 to file_99; without the lock, acquire it first.

        Returns SUCCESS, FILE_ERROR if there is no such file or the content is more than 1 MiB, and TIMEOUT_ERROR if the
        lock was lost. Then all that was appended since it was acquired is undone, and has to be appended again.
        """
        self._check()
        if isinstance(content, str):
            content = content.encode()
        request = pb.file_args(
            filename=filename, content=content, client_id=self.client_id, request_id=self._next_id()
        )
        if self._holder() != self.client_id:
            if self._holding:
                self._holding = False
                return TIMEOUT_ERROR
            self.RPC_lock_acquire()
        while True:
            status = self._call("file_append", request).status
            if status != pb.DUPLICATE_ERROR:  # which is: still at it
                break
            time.sleep(self._again)
        if status == TIMEOUT_ERROR:
            self._holding = False
        return status

    def RPC_lock_release(self):
        """Publish what was appended, and pass the lock on.

        Returns SUCCESS, TIMEOUT_ERROR if the lock was lost, and FILE_ERROR if it was never held.
        """
        self._check()
        request = pb.lock_args(client_id=self.client_id, request_id=self._next_id())
        status = self._call("lock_release", request).status
        self._holding = False
        return status

    def RPC_close(self):
        """End the client; if it holds the lock, what it appended is undone. Nothing can be called afterwards.

        Returns 0, or 1 if no server could be told, which then find out when the heartbeats are missing. May be repeated.
        """
        if self._closing.is_set():
            return 0
        self._closing.set()
        if self._beats:
            self._beats.join()
        told = self.client_id == 0 or self._tell("client_close", pb.Int(rc=self.client_id))
        for channel in self._channels:
            channel.close()
        return 0 if told else 1

    def _check(self, registered=True):
        if self._closing.is_set():
            raise RuntimeError("the client is closed: make another LockClient")
        if registered and self.client_id == 0:
            raise RuntimeError("the client has no id yet: call RPC_init first")

    def _next_id(self):
        self._counter += 1
        return f"{self.client_id}-{self._counter}"

    def _holder(self):
        request = pb.current_lock_holder(client_id=self.client_id)
        return self._call("getCurrent_lock_holder", request).current_lock_holder.client_id

    def _call(self, method, request, timeout=None):
        """Make a call again and again until it is answered."""
        while True:
            for pause in self._pauses:
                try:
                    answer = getattr(self._stubs[self._at], method)(request, timeout=timeout or self._timeout)
                    self._answered()
                    return answer
                except grpc.RpcError as error:
                    if error.code() in _FINAL:
                        raise
                    self._failed(method, error)
                    if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:  # that was a pause in itself
                        time.sleep(pause)
            self._find_server()

    def _find_server(self):
        """Turn to the next server that says it can serve. If none does, stay."""
        if self._waiting:
            _log.warning("looking for another server among %s", ", ".join(self._servers))
        for step in range(1, len(self._stubs) + 1):
            at = (self._at + step) % len(self._stubs)
            try:
                if self._stubs[at].Ping(pb.Empty(), timeout=self._timeout).status == "OK":
                    self._at = at
                    return
            except grpc.RpcError:
                continue
        if self._waiting:
            _log.warning("none of them can serve: is one running, and of a cluster most? Still trying; ctrl-C ends it")

    def _failed(self, method, error):
        """Say that a server does not answer, once. To wait for the lock until the time is up is nothing to be said."""
        if self._waiting or method == "lock_acquire" and error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            return
        self._waiting = True
        why = f"{error.code().name}: {error.details()}"
        _log.warning("%s: no answer to %s (%s); trying again", self._servers[self._at], method, why)

    def _answered(self):
        if self._waiting:
            self._waiting = False
            _log.warning("%s: answers", self._servers[self._at])

    def _tell(self, method, request):
        """Make a call once, at the first server that answers, and return whether one did."""
        for step in range(len(self._stubs)):
            try:
                getattr(self._stubs[(self._at + step) % len(self._stubs)], method)(request, timeout=self._timeout)
                return True
            except grpc.RpcError:
                continue
        return False

    def _start_heartbeats(self):
        if self._beats is None:
            self._beats = threading.Thread(target=self._beat, name="heartbeats", daemon=True)
            self._beats.start()

    def _beat(self):
        # What the server answers does not matter here: whether the lock was lost is told by the call that needs it.
        while not self._closing.wait(self._heartbeat):
            if not self._given_up:
                self._tell("heartbeat", pb.Heartbeat(client_id=self.client_id))
