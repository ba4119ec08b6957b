"""Clients made to harm the engine or each other; each test names what it is about."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import DOCKER, Engine
from tests.clients.terminal import Terminal

JSON = b"Content-Type: application/json\r\n"


@contextlib.contextmanager
def dialed(engine: Engine) -> Iterator[socket.socket]:
    """A connection to the API."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(engine.socket))
        yield connection


def post(engine: Engine, path: str, body: bytes, *headers: bytes) -> tuple[int, bytes]:
    """A request made by hand: the answer's status and body."""
    head = b"".join(header + b"\r\n" for header in headers)
    length = b"Content-Length: %d\r\n" % len(body)
    answer = engine.raw(b"POST %s HTTP/1.0\r\n" % path.encode() + JSON + length + head + b"\r\n" + body)
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest


def descriptors(pid: int) -> int:
    """How many a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def monitors(engine: Engine) -> list[int]:
    """The processes that hold the output of containers."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            if b"monitor" in words and str(engine.root).encode() in words:
                found.append(int(entry.name))
    return found


def settles(engine: Engine, before: dict[int, int], limit_s: float = 20) -> None:
    """Returns when the daemon and its monitors hold no more than before, or little more."""
    deadline = time.monotonic() + limit_s
    while any(descriptors(pid) > count + 3 for pid, count in before.items()):
        now = {pid: descriptors(pid) for pid in before}
        assert time.monotonic() < deadline, f"before {before}, now {now}"
        time.sleep(0.2)


@pytest.fixture
def counted(engine: Engine) -> Iterator[str]:
    """A container that says something all the time; whatever clients do, nothing of it stays open."""
    name = engine.ok("run", "-d", "-i", "busybox", "sh", "-c", "while :; do echo line; sleep 0.01; done")
    engine.ok("exec", name, "true")
    before = {pid: descriptors(pid) for pid in [engine.pid, *monitors(engine)]}
    yield name
    settles(engine, before)
    assert engine.ok("exec", name, "echo", "here") == "here"
    engine.ok("rm", "-f", name)


# JSON


def test_keys_that_come_twice(engine: Engine) -> None:
    """Whoever looked at the first of two keys would have allowed what the second one asks for."""
    body = b'{"Image":"nothing","Image":"busybox","HostConfig":{"Memory":1,"Memory":67108864}}'
    status, answer = post(engine, "/v1.41/containers/create", body)
    assert status == 201, answer
    made = json.loads(answer)["Id"]
    shown = engine.ok("inspect", "-f", "{{.Config.Image}} {{.HostConfig.Memory}}", made)
    assert shown == "busybox 67108864"


def test_keys_in_another_case(engine: Engine) -> None:
    """Go takes them, so that a guard that knows one spelling is passed by: they mean the same here."""
    body = b'{"image":"nothing","IMAGE":"busybox","hostCONFIG":{"privileged":true,"Privileged":false}}'
    status, answer = post(engine, "/v1.41/containers/create", body)
    assert status == 201, answer
    made = json.loads(answer)["Id"]
    assert engine.ok("inspect", "-f", "{{.Config.Image}} {{.HostConfig.Privileged}}", made) == "busybox false"


@pytest.mark.parametrize(
    "body",
    [
        b'{"Image":"busybox","HostConfig":' + b'{"LogConfig":' * 5000 + b"}" * 5001,
        b"[" * 100000,
        b'{"Image":"busybox","Cmd":' + b"[" * 20000 + b"]" * 20000 + b"}",
        b'{"Image":"\xff\xfe"}',
        b'{"Image":"busybox","HostConfig":{"Memory":1e400}}',
        b'{"Image":"busybox","HostConfig":{"Memory":99999999999999999999999}}',
        b'{"Image":"busybox\\u0000","Env":["A=\\u0000"]}',
        b'{"Image":"busybox","Labels":{' + b",".join(b'"%d":"x"' % n for n in range(50000)) + b"}",
    ],
    ids=["deep", "lists", "deep lists", "no text", "float", "large", "zeros", "cut off"],
)
def test_bodies_made_to_harm(engine: Engine, body: bytes) -> None:
    status, answer = post(engine, "/v1.41/containers/create", body)
    assert 400 <= status < 500, answer[:300]
    assert json.loads(answer)["message"]
    assert engine.ok("ps", "-aq") == ""


# Upgrades


def test_bytes_smuggled_through_an_upgrade(engine: Engine, counted: str) -> None:
    """What comes after the request is the program's input, and never another request."""
    smuggled = b"DELETE /v1.41/containers/%s?force=1 HTTP/1.1\r\nHost: d\r\n\r\n" % counted.encode()
    for upgrade in (
        b"Upgrade: tcp\r\nConnection: Upgrade\r\n",
        b"",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    ):
        with dialed(engine) as connection:
            path = b"/v1.41/containers/%s/attach?stream=1&stdin=1&stdout=1" % counted.encode()
            connection.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: d\r\n" + upgrade + b"\r\n" + smuggled)
            connection.recv(100)
    # One that is refused ends there.
    with dialed(engine) as connection:
        head = b"POST /v1.41/containers/none/attach?stream=1 HTTP/1.1\r\nHost: d\r\n"
        connection.sendall(head + b"Upgrade: tcp\r\nConnection: Upgrade\r\n\r\n" + smuggled)
        assert b" 404 " in connection.recv(1000)
    assert engine.ok("inspect", "-f", "{{.State.Running}}", counted) == "true"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 5\r\nContent-Length: 50",
        b"Transfer-Encoding: xchunked",
        b"Content-Length: -1",
        b"Content-Length: 1_0",
    ],
)
def test_requests_that_end_in_two_places(engine: Engine, head: bytes) -> None:
    """Where one ends is never for two to understand differently: the connection ends instead."""
    second = b"DELETE /v1.41/volumes/kept HTTP/1.1\r\nHost: d\r\n\r\n"
    engine.ok("volume", "create", "kept")
    answer = engine.raw(
        b"POST /v1.41/volumes/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"
        + JSON
        + head
        + b"\r\n\r\n0\r\n\r\n"
        + second
    )
    assert b" 204 " not in answer
    assert engine.ok("volume", "ls", "-q") == "kept"


# Slow clients, and such as go


def test_slow_clients(engine: Engine, counted: str) -> None:
    """Hundreds that never finish their request, or never read their answer, hold up nobody."""
    open_ones = []
    try:
        for number in range(200):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(engine.socket))
            kind = number % 4
            if kind == 0:
                connection.sendall(b"GET /v1.41/containers/json HTT")
            elif kind == 1:
                connection.sendall(
                    b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\n"
                    + JSON
                    + b"Content-Length: 900\r\n\r\n{"
                )
            elif kind == 2:
                connection.sendall(
                    b"GET /v1.41/containers/%s/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n"
                    % counted.encode()
                )
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
                connection.sendall(
                    b"GET /v1.41/containers/%s/export HTTP/1.1\r\nHost: d\r\n\r\n" % counted.encode()
                )
            open_ones.append(connection)
        for _ in range(5):
            assert engine.ok("run", "--rm", "busybox", "echo", "soon", timeout=30) == "soon"
            assert engine.ok("ps", "-q", timeout=10)
    finally:
        for connection in open_ones:
            connection.close()


def test_clients_that_go_in_mid_stream(engine: Engine, counted: str, tmp_path: Path) -> None:
    """What was begun for them ends, and what they had begun is whole or not there."""
    name = counted.encode()
    streams = [
        b"GET /v1.41/containers/%s/logs?follow=1&stdout=1" % name,
        b"GET /v1.41/containers/%s/stats" % name,
        b"GET /v1.41/containers/%s/export" % name,
        b"GET /v1.41/containers/%s/archive?path=/bin" % name,
        b"GET /v1.41/events",
        b"GET /v1.41/images/busybox/get",
        b"POST /v1.41/containers/%s/wait" % name,
        b"POST /v1.41/containers/%s/attach?stream=1&stdout=1&stdin=1" % name,
    ]
    for stream in streams * 5:
        with dialed(engine) as connection:
            connection.sendall(stream + b" HTTP/1.1\r\nHost: d\r\n\r\n")
            connection.recv(1000 if b"wait" not in stream else 17)
            # Gone at once, with what is unread.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for path in (b"/v1.41/images/load", b"/v1.41/containers/%s/archive?path=/tmp" % name):
        with dialed(engine) as connection:
            verb = b"PUT " if b"archive" in path else b"POST "
            head = b" HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: 100000000\r\n\r\n"
            connection.sendall(verb + path + head + os.urandom(512))
    assert engine.ok("images", "-q", "-f", "dangling=true") == ""


def test_commands_whose_clients_go(engine: Engine, counted: str) -> None:
    """A command goes on without who asked for it, and leaves nothing when it ends."""
    for _ in range(5):
        with engine.spawn(
            "exec", "-i", counted, "sh", "-c", "read line; sleep 0.2", stdin=subprocess.PIPE
        ) as process:
            time.sleep(0.1)
            process.kill()
    deadline = time.monotonic() + 20
    while "read line" in engine.ok("top", counted):
        assert time.monotonic() < deadline
        time.sleep(0.2)


# Leaks


def test_attaching_leaks_nothing(engine: Engine, counted: str) -> None:
    """Each client that came and went has kept something open in engines before."""
    for number in range(60):
        with dialed(engine) as connection:
            path = b"/v1.41/containers/%s/attach?stream=1&stdout=1&logs=%d" % (counted.encode(), number % 2)
            connection.sendall(
                b"POST " + path + b" HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n"
            )
            assert b" 101 " in connection.recv(1000)


def test_resizing_leaks_nothing(engine: Engine) -> None:
    """Sizes in floods, of what is not there any more, and of what never had a terminal."""
    name = engine.ok("run", "-dit", "busybox", "sh")
    with engine.client() as client:
        made = client.api.exec_create(name, ["cat"], stdin=True, tty=True)["Id"]
        stream = client.api.exec_start(made, tty=True, socket=True)
        client.api.resize(name, 24, 80)
        client.api.exec_resize(made, 24, 80)
        before = {pid: descriptors(pid) for pid in [engine.pid, *monitors(engine)]}
        for number in range(150):
            post(engine, f"/v1.41/containers/{name}/resize?h={10 + number % 50}&w=80", b"")
            post(engine, f"/v1.41/exec/{made}/resize?h={10 + number % 50}&w=80", b"")
        settles(engine, before)
        for height, width in (
            ("0", "0"),
            ("65536", "1"),
            ("99999999", "2"),
            ("-1", "1"),
            ("x", "1"),
            ("", ""),
        ):
            status, _ = post(engine, f"/v1.41/containers/{name}/resize?h={height}&w={width}", b"")
            assert status in (200, 400, 500), (height, width, status)
        assert engine.ok("exec", name, "echo", "here") == "here"
        # docker-py leaves the socket itself to the garbage collector.
        stream._sock.close()
        stream.close()
    engine.ok("rm", "-f", name)
    status, _ = post(engine, f"/v1.41/containers/{name}/resize?h=1&w=1", b"")
    assert status == 404
    status, _ = post(engine, f"/v1.41/exec/{made}/resize?h=1&w=1", b"")
    assert status == 404


def test_terminals_that_are_dropped(engine: Engine) -> None:
    """A terminal closed in the middle of a flood of output takes nothing with it."""
    name = engine.ok("run", "-dit", "busybox", "sh", "-c", "while :; do echo flood; done")
    for _ in range(3):
        with Terminal(engine, "attach", name) as terminal:
            terminal.read_until("flood")
    assert engine.ok("exec", name, "echo", "here") == "here"
    assert engine.ok("inspect", "-f", "{{.State.Running}}", name) == "true"
    engine.ok("rm", "-f", name)


@pytest.mark.skipif(KIND != "mobyd", reason="dockerd keeps a container waiting for such a client")
def test_a_reader_that_never_reads(engine: Engine) -> None:
    """It holds up its own stream: the log, the other clients and the engine go on."""
    script = (
        "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); echo line $i of many that nobody reads; done; echo done"
    )
    with dialed(engine) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.sendall(b"GET /v1.41/events HTTP/1.1\r\nHost: d\r\n\r\n")
        name = engine.ok("run", "-d", "busybox", "sh", "-c", script)
        with dialed(engine) as follower:
            follower.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            path = b"/v1.41/containers/%s/logs?follow=1&stdout=1" % name.encode()
            follower.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: d\r\n\r\n")
            assert engine.ok("wait", name, timeout=120) == "0"
            assert engine.ok("logs", "--tail", "1", name) == "done"
            engine.ok("rm", "-f", name)
    assert (
        subprocess.run([DOCKER, "ps"], env=engine.environment, check=False, capture_output=True).returncode
        == 0
    )
