"""Tests of the client against real servers; run_tests.sh runs them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from concurrent import futures

import grpc

import lock_client
import lock_service_pb2 as pb
import lock_service_pb2_grpc as pb_grpc
from lock_client import FILE_ERROR, SUCCESS, TIMEOUT_ERROR
from testbed import PATIENCE, Network, Server, eventually

TTL = 3  # seconds that a client outlives its last call
NEVER = 3600


def dead_port():
    """Return an address at which nothing answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


class Case(unittest.TestCase):
    """Starts what a test needs, and stops it afterwards."""

    def start_server(self, *flags):
        """Start a server with data of its own."""
        data = tempfile.TemporaryDirectory(prefix="dlm-python-")
        self.addCleanup(data.cleanup)
        server = Server(data.name, *flags)
        self.addCleanup(server.kill)
        return server

    def client(self, *servers, **settings):
        """Return a client that has an id, and little patience."""
        quick = {"pauses": (0.05, 0.1, 0.2, 0.4), "again": 0.05, "heartbeat": 0.2, "timeout": 2}
        client = lock_client.LockClient(servers, **{**quick, **settings})
        self.addCleanup(client.RPC_close)
        self.assertGreater(client.RPC_init(), 0)
        return client

    def in_background(self, function, *args):
        """Call a function in a thread; its result is the returned future's."""
        pool = futures.ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        return pool.submit(function, *args)

    def stub(self, address):
        """Return a stub, for calls that the client would not make."""
        channel = grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)])
        self.addCleanup(channel.close)
        return pb_grpc.LockServiceStub(channel)

    def section(self, client, filename, text):
        """Acquire, append each letter of a text, release."""
        self.assertEqual(client.RPC_lock_acquire(), SUCCESS)
        for letter in text:
            self.assertEqual(client.RPC_append_file(filename, letter), SUCCESS)
        self.assertEqual(client.RPC_lock_release(), SUCCESS)


    def interrupted(self, server, client):
        """Have a client wait for the lock, alone, and press ctrl-C."""

        def interrupt():
            eventually(lambda: server.waiters() == 1)
            os.kill(os.getpid(), signal.SIGINT)

        # Who is started in the background of a script has it ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        done = self.in_background(interrupt)
        with self.assertRaises(KeyboardInterrupt):
            client.RPC_lock_acquire()
        done.result(PATIENCE)


class OneServer(Case):
    """What one server, that does not crash, is enough for. Each test has a file of its own."""

    @classmethod
    def setUpClass(cls):
        data = tempfile.TemporaryDirectory(prefix="dlm-python-")
        cls.addClassCleanup(data.cleanup)
        cls.server = Server(data.name, "--coursework-ttl", f"{TTL}s")
        cls.addClassCleanup(cls.server.kill)

    def network(self):
        """Return a way to the server that can be made to fail."""
        network = Network(self.server.address)
        self.addCleanup(network.close)
        return network

    def test_five_calls(self):
        client = self.client(self.server.address)
        self.assertEqual(client.RPC_lock_acquire(), SUCCESS)
        self.assertEqual(client.RPC_append_file("file_0", b"one "), SUCCESS)
        self.assertEqual(client.RPC_append_file("./Server/Files/file_0", "two"), SUCCESS)
        self.assertEqual(client.RPC_lock_release(), SUCCESS)
        self.assertEqual(self.server.read("file_0"), "one two")
        self.assertEqual(client.RPC_close(), 0)
        self.assertEqual(client.RPC_close(), 0)

    def test_first_come_first_served(self):
        holder = self.client(self.server.address)
        holder.RPC_lock_acquire()
        waiting = []
        for number, letter in enumerate("ABC"):
            # Asks again and again while it waits, and keeps its place.
            client = self.client(self.server.address, wait=0.5)
            waiting.append(self.in_background(self.section, client, "file_1", letter * 2))
            eventually(lambda count=number + 1: self.server.waiters() == count)
        holder.RPC_append_file("file_1", "1")
        holder.RPC_lock_release()
        for done in waiting:
            done.result(PATIENCE)
        self.assertEqual(self.server.read("file_1"), "1AABBCC")

    def test_waiting_longer_than_the_ttl(self):
        holder, waiter = self.client(self.server.address), self.client(self.server.address, heartbeat=NEVER)
        holder.RPC_lock_acquire()
        granted = self.in_background(waiter.RPC_lock_acquire)
        with self.assertRaises(futures.TimeoutError):
            granted.result(2 * TTL)
        self.section(holder, "file_2", "A")  # the heartbeats have kept the lock
        self.assertEqual(granted.result(PATIENCE), SUCCESS)

    def test_no_such_file(self):
        client = self.client(self.server.address)
        for name in ("file_100", "file_00", "", "../../etc/passwd", "file_3/..", "A" * 10000):
            self.assertEqual(client.RPC_append_file(name, "A"), FILE_ERROR, name)
        self.assertEqual(client.RPC_append_file("file_3", "A" * (1 << 20) + "A"), FILE_ERROR)
        self.assertEqual(client.RPC_append_file("file_3", "B"), SUCCESS)
        self.assertEqual(client.RPC_lock_release(), SUCCESS)
        self.assertEqual(self.server.read("file_3"), "B")

    def test_append_acquires(self):
        network = self.network()
        client = self.client(network.address)
        self.assertEqual(client.RPC_append_file("file_4", "A"), SUCCESS)
        self.assertEqual(client.RPC_append_file("file_4", "B"), SUCCESS)
        self.assertEqual(client.RPC_lock_release(), SUCCESS)
        self.assertEqual(self.server.read("file_4"), "AB")
        acquires = [pb.lock_args.FromString(request).request_id for request in network.requests("lock_acquire")]
        appends = [pb.file_args.FromString(request).request_id for request in network.requests("file_append")]
        self.assertEqual(acquires, [f"{client.client_id}-2"])
        self.assertEqual(appends, [f"{client.client_id}-1", f"{client.client_id}-3"])

    def test_release_without_the_lock(self):
        self.assertEqual(self.client(self.server.address).RPC_lock_release(), FILE_ERROR)

    def test_close_undoes(self):
        closed = self.client(self.server.address)
        closed.RPC_append_file("file_5", "A")
        self.assertEqual(closed.RPC_close(), 0)
        self.section(self.client(self.server.address), "file_5", "B")
        self.assertEqual(self.server.read("file_5"), "B")

    def test_lost_on_the_way(self):
        network = self.network()
        client = self.client(network.address, timeout=0.5, wait=0.5)
        for method in ("lock_acquire", "getCurrent_lock_holder", "file_append", "lock_release", "heartbeat"):
            network.faults[method] = [Network.REQUEST_LOST, Network.REPLY_LOST, Network.REPLY_LOST]
        self.section(client, "file_6", "AB")
        self.assertEqual(self.server.read("file_6"), "AB")
        for method, calls in (("lock_acquire", 1), ("file_append", 2), ("lock_release", 1)):
            self.assertGreaterEqual(len(network.requests(method)), calls + 3, method)
            self.assertEqual(len(set(network.requests(method))), calls, method)  # the same id on each try

    def test_duplicates_after_the_release(self):
        network = self.network()
        first, second = self.client(network.address), self.client(network.address)
        self.section(first, "file_7", "A")
        late = [call for call in network.seen if call[0] in ("lock_acquire", "file_append", "lock_release")]
        self.assertEqual(len(late), 3)
        direct = self.stub(self.server.address)

        def arrive():
            for name, request in late:
                message = pb.file_args if name == "file_append" else pb.lock_args
                getattr(direct, name)(message.FromString(request), timeout=PATIENCE)

        self.assertEqual(second.RPC_append_file("file_7", "B"), SUCCESS)
        arrive()  # in another client's hold
        self.assertEqual(second.RPC_append_file("file_7", "B"), SUCCESS)
        self.assertEqual(second.RPC_lock_release(), SUCCESS)
        self.assertEqual(first.RPC_lock_acquire(), SUCCESS)
        self.assertEqual(first.RPC_append_file("file_7", "A"), SUCCESS)
        arrive()  # in a later hold of the same client
        self.assertEqual(first.RPC_append_file("file_7", "A"), SUCCESS)
        self.assertEqual(first.RPC_lock_release(), SUCCESS)
        arrive()  # when the lock is free
        holder = direct.getCurrent_lock_holder(pb.current_lock_holder(client_id=first.client_id), timeout=PATIENCE)
        self.assertEqual(holder.current_lock_holder.client_id, 0)
        self.assertEqual(self.server.read("file_7"), "ABBAA")

    def test_stale_holder(self):
        stale = self.client(self.server.address, heartbeat=NEVER)
        fresh = self.client(self.server.address)
        self.assertEqual(stale.RPC_append_file("file_8", "A"), SUCCESS)
        self.assertEqual(fresh.RPC_append_file("file_8", "B"), SUCCESS)  # when the stale one's time is up

        identity = stale.client_id
        late = pb.file_args(filename="file_8", content=b"A", client_id=identity, request_id=f"{identity}-3")
        self.assertEqual(self.stub(self.server.address).file_append(late, timeout=PATIENCE).status, TIMEOUT_ERROR)
        self.assertEqual(stale.RPC_append_file("file_8", "A"), TIMEOUT_ERROR)
        self.assertEqual(stale.RPC_lock_release(), TIMEOUT_ERROR)
        self.assertEqual(fresh.RPC_append_file("file_8", "B"), SUCCESS)
        self.assertEqual(fresh.RPC_lock_release(), SUCCESS)

        self.section(stale, "file_8", "AA")
        self.assertEqual(stale.client_id, identity)
        self.assertEqual(self.server.read("file_8"), "BBAA")

    def test_not_yet(self):
        network = self.network()
        client = self.client(network.address)
        network.faults["lock_acquire"] = [pb.Response(status=TIMEOUT_ERROR), pb.Response(status=FILE_ERROR)]
        network.faults["file_append"] = [pb.Response(status=pb.DUPLICATE_ERROR)]
        self.section(client, "file_9", "A")
        self.assertEqual(self.server.read("file_9"), "A")
        for method, calls in (("lock_acquire", 3), ("file_append", 2)):
            self.assertEqual(len(network.requests(method)), calls, method)
            self.assertEqual(len(set(network.requests(method))), 1, method)

    def test_never(self):
        network = self.network()
        client = self.client(network.address)
        network.faults["lock_acquire"] = [grpc.StatusCode.UNIMPLEMENTED]
        with self.assertRaises(grpc.RpcError):
            client.RPC_lock_acquire()
        self.assertEqual(len(network.requests("lock_acquire")), 1)

    def test_far_too_large(self):
        client = self.client(self.server.address, timeout=PATIENCE)
        self.assertEqual(client.RPC_lock_acquire(), SUCCESS)
        for size in (16, 17, 200):
            self.assertEqual(client.RPC_append_file("file_10", b"A" * (size << 20)), FILE_ERROR, size)
        self.assertEqual(client.RPC_append_file("file_10", "B"), SUCCESS)
        self.assertEqual(client.RPC_lock_release(), SUCCESS)
        self.assertEqual(self.server.read("file_10"), "B")

    def test_interrupted_for_good(self):
        holder, client = self.client(self.server.address), self.client(self.server.address)
        holder.RPC_lock_acquire()
        self.interrupted(self.server, client)
        eventually(lambda: self.server.waiters() == 0)
        self.assertEqual(holder.RPC_lock_release(), SUCCESS)
        self.section(client, "file_13", "A")
        self.assertEqual(self.server.read("file_13"), "A")

    def test_misuse(self):
        for servers in ([], "localhost:50051"):
            with self.assertRaisesRegex(ValueError, "want a list"):
                lock_client.LockClient(servers)
        client = lock_client.LockClient([self.server.address])
        calls = (client.RPC_lock_acquire, client.RPC_lock_release, lambda: client.RPC_append_file("file_0", "A"))
        for call in calls:
            with self.assertRaisesRegex(RuntimeError, "call RPC_init first"):
                call()
        client.RPC_init()
        self.assertEqual(client.RPC_close(), 0)
        for call in (*calls, client.RPC_init):
            with self.assertRaisesRegex(RuntimeError, "is closed"):
                call()

    def test_missing_modules(self):
        with tempfile.TemporaryDirectory(prefix="dlm-python-") as alone:
            shutil.copy(lock_client.__file__, alone)
            ungenerated = "lock_service_pb2 has not been generated: run .*generate.sh"
            for missing, words in (("", ungenerated), ("grpc", "no grpcio")):
                if missing:
                    with open(os.path.join(alone, missing + ".py"), "w", encoding="utf-8") as file:
                        file.write("raise ImportError\n")
                command = [sys.executable, "-c", "import lock_client"]
                done = subprocess.run(command, cwd=alone, check=False, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
                self.assertNotEqual(done.returncode, 0)
                self.assertRegex(done.stderr, words)

    def test_looks_for_a_server(self):
        dead = dead_port()
        with self.assertLogs("lock_client", "WARNING") as logged:
            client = self.client(dead, dead_port(), self.server.address, dead_port())
        said = "\n".join(logged.output)
        self.assertRegex(said, f"{dead}: no answer to client_init .UNAVAILABLE: .*; trying again")
        self.assertRegex(said, f"{self.server.address}: answers")
        self.section(client, "file_11", "A")
        self.assertEqual(self.server.read("file_11"), "A")

    def test_close_without_servers(self):
        client = self.client(self.server.address)
        lost = lock_client.LockClient([dead_port()])
        lost.client_id = client.client_id
        self.assertEqual(lost.RPC_close(), 1)


class Crashes(Case):
    """Servers of a test's own, some of which are killed."""

    def test_interrupted_and_again(self):
        server = self.start_server()
        holder, client, other = (self.client(server.address) for _ in range(3))
        holder.RPC_lock_acquire()
        self.interrupted(server, client)
        self.interrupted(server, client)
        behind = self.in_background(self.section, other, "file_0", "O")
        eventually(lambda: server.waiters() == 2)
        again = self.in_background(self.section, client, "file_0", "C")
        holder.RPC_lock_release()
        again.result(PATIENCE)
        behind.result(PATIENCE)
        self.assertEqual(server.read("file_0"), "CO")
        self.assertEqual(server.waiters(), 0)

    def test_no_server(self):
        server = self.start_server()
        server.kill()
        with self.assertLogs("lock_client", "WARNING") as logged:
            coming = self.in_background(self.client, server.address)
            eventually(lambda: any("none of them can serve" in line for line in logged.output))
            server.start()
            self.assertGreater(coming.result(PATIENCE).client_id, 0)
        self.assertRegex(logged.output[-1], "answers")

    def test_server_comes_back(self):
        server = self.start_server()
        client, waiter = self.client(server.address), self.client(server.address)
        self.assertEqual(client.RPC_append_file("file_0", "A"), SUCCESS)
        waiting = self.in_background(self.section, waiter, "file_0", "2")
        eventually(lambda: server.waiters() == 1)
        server.kill()
        appending = self.in_background(client.RPC_append_file, "file_0", "B")
        server.start()
        self.assertEqual(appending.result(PATIENCE), SUCCESS)
        self.assertEqual(client.RPC_append_file("file_0", "C"), SUCCESS)
        self.assertEqual(client.RPC_lock_release(), SUCCESS)
        waiting.result(PATIENCE)
        self.assertEqual(server.read("file_0"), "ABC2")

    def test_another_server_goes_on(self):
        # Both servers keep their data in the first one's etcd, so that any of them can be killed but that one.
        etcd = dead_port()
        first = self.start_server("--cluster-client-listen", etcd)
        second = self.start_server("--etcd-endpoints", etcd)
        client = self.client(second.address, first.address)
        self.assertEqual(client.RPC_append_file("file_0", "A"), SUCCESS)
        other = self.client(first.address)
        waiting = self.in_background(self.section, other, "file_0", "2")
        eventually(lambda: first.waiters() == 1)
        second.kill()
        self.assertEqual(client.RPC_append_file("file_0", "B"), SUCCESS)
        self.assertEqual(client.RPC_lock_release(), SUCCESS)
        waiting.result(PATIENCE)
        self.assertEqual(first.read("file_0"), "AB2")


if __name__ == "__main__":
    unittest.main()
