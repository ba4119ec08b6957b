"""This file is about what happens to connections: streams, upgrades, clients that go away, requests that come early."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from aiohttp import ClientSession

from moby.api.server import Server
from moby.core.types.containers import ContainerCreateRequest
from tests.contract.fakes import ID, FakeEngine

LIMIT_S = 5.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _send(address: str, text: str, body: bytes = b"") -> Streams:
    reader, writer = await asyncio.open_unix_connection(address)
    writer.write(text.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    return reader, writer


async def _head(reader: asyncio.StreamReader) -> str:
    async with asyncio.timeout(LIMIT_S):
        return (await reader.readuntil(b"\r\n\r\n")).decode()


@pytest.mark.parametrize(
    ("version", "tty", "kind"),
    [
        ("1.55", False, "application/vnd.docker.multiplexed-stream"),
        ("1.55", True, "application/vnd.docker.raw-stream"),
        ("1.41", False, "application/vnd.docker.raw-stream"),
    ],
)
async def test_attach_upgrades(address: str, engine: FakeEngine, version: str, tty: bool, kind: str) -> None:
    engine.streams.tty = tty
    reader, writer = await _send(
        address,
        f"POST /v{version}/containers/box/attach?stream=1&stdin=1&detachKeys=ctrl-a HTTP/1.1\nHost: d\n"
        "Connection: Upgrade\nUpgrade: tcp\nContent-Length: 0",
    )
    head = await _head(reader)
    assert head.startswith("HTTP/1.1 101 UPGRADED\r\n")
    assert f"Content-Type: {kind}\r\n" in head
    writer.write(b"hello " * 20000)
    writer.write_eof()
    async with asyncio.timeout(LIMIT_S):
        assert await reader.read() == b"HELLO " * 20000 + b"BYE"
    writer.close()
    assert engine.streams.attach_request is not None
    assert engine.streams.attach_request.stdin
    assert engine.streams.attach_request.detach_keys == "ctrl-a"


async def test_attach_without_upgrade(address: str) -> None:
    reader, writer = await _send(address, "POST /containers/box/attach HTTP/1.1\nHost: d\nContent-Length: 0")
    head = await _head(reader)
    assert head == "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
    writer.write(b"x")
    writer.write_eof()
    assert await reader.read() == b"XBYE"
    writer.close()


async def test_bytes_that_come_before_the_upgrade_are_not_lost(address: str) -> None:
    reader, writer = await _send(
        address,
        "POST /containers/box/attach HTTP/1.1\nHost: d\nConnection: Upgrade\nUpgrade: tcp\nContent-Length: 0",
        b"early",
    )
    assert (await _head(reader)).startswith("HTTP/1.1 101 ")
    writer.write(b" late")
    writer.write_eof()
    async with asyncio.timeout(LIMIT_S):
        assert await reader.read() == b"EARLY LATEBYE"
    writer.close()


@pytest.mark.parametrize("first", [0, 1 << 20])
async def test_a_body_that_speaks_of_upgrades_is_a_body(address: str, engine: FakeEngine, first: int) -> None:
    archive = bytes(first) + b"a program's text: \r\nUpgrade: tcp\r\n\r\n" + bytes(3 << 20)
    head = f"POST /images/load HTTP/1.1\nHost: d\nConnection: close\nContent-Length: {len(archive)}"
    reader, writer = await _send(address, head, archive[:first])
    async with asyncio.timeout(LIMIT_S):
        while engine.transfers.received < first:
            await asyncio.sleep(0.01)
    writer.write(archive[first:])
    assert (await _head(reader)).startswith("HTTP/1.1 200 ")
    assert engine.transfers.received == len(archive)
    writer.close()


@pytest.mark.parametrize("size", [1, 700, 1 << 20])
async def test_bodies_in_chunks_one_after_the_other(address: str, engine: FakeEngine, size: int) -> None:
    """Also those with an extension, or a trailer; and a ping behind them."""
    reader, writer = await _send(address, "GET /version HTTP/1.1\nHost: d")
    for last in (b"0\r\n\r\n", b"3;x=y\r\nabc\r\n0\r\n\r\n", b"0\r\nX: y\r\n\r\n"):
        head = await _head(reader)
        assert head.startswith("HTTP/1.1 200 ")
        async with asyncio.timeout(LIMIT_S):
            if "chunked" not in head:
                await reader.readexactly(int(head.lower().partition("content-length: ")[2].split()[0]))
            else:
                await reader.readuntil(b"0\r\n\r\n")
        engine.transfers.received = 0
        writer.write(b"POST /images/load HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            writer.write(b"%x\r\n%s\r\n" % (size, bytes(size)))
            await asyncio.sleep(0)
        writer.write(last)
    assert (await _head(reader)).startswith("HTTP/1.1 200 ")
    assert engine.transfers.received == 4 * size
    writer.close()


LOAD = "POST /images/load HTTP/1.1\nHost: d\nContent-Length: 5\nExpect: 100-continue"


async def test_a_client_that_waits_is_told_to_send_its_body(address: str, engine: FakeEngine) -> None:
    reader, writer = await _send(address, LOAD)
    for _ in range(2):
        assert await _head(reader) == "HTTP/1.1 100 Continue\r\n\r\n"
        assert engine.transfers.received == 0
        writer.write(b"hello")
        assert (await _head(reader)).startswith("HTTP/1.1 200 ")
        assert engine.transfers.received == 5
        async with asyncio.timeout(LIMIT_S):
            while await reader.readline() != b"0\r\n":
                continue
            await reader.readline()
        engine.transfers.received = 0
        writer.write(LOAD.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    writer.close()


async def test_a_client_whose_body_nobody_wants_is_not_asked_for_it(address: str) -> None:
    """And what comes after its request is not taken for the next one."""
    for line in ("POST /nonsense HTTP/1.1", "POST /v1.99/images/load HTTP/1.1"):
        reader, writer = await _send(address, LOAD.replace("POST /images/load HTTP/1.1", line))
        head = await _head(reader)
        assert head.startswith("HTTP/1.1 4")
        assert "Connection: close" in head
        writer.close()


async def test_what_is_expected_of_nobody_is_refused(address: str) -> None:
    reader, writer = await _send(address, LOAD.replace("100-continue", "tea"))
    assert (await _head(reader)).startswith("HTTP/1.1 417 ")
    writer.close()


async def test_attach_to_nothing_is_an_error(client: ClientSession) -> None:
    async with client.post("/containers/none/attach") as answer:
        assert answer.status == 404
        assert await answer.json() == {"message": "No such container: none"}


async def test_wait_sends_its_head_before_the_end(client: ClientSession, engine: FakeEngine) -> None:
    engine.streams.over.clear()
    async with asyncio.timeout(LIMIT_S), client.post("/containers/box/wait") as answer:
        assert answer.status == 200
        engine.streams.over.set()
        assert await answer.json() == {"StatusCode": 3}


async def test_log_is_sent_as_it_comes_and_ends_with_its_client(
    client: ClientSession, engine: FakeEngine
) -> None:
    engine.streams.follow = asyncio.Event()
    async with asyncio.timeout(LIMIT_S):
        answer = await client.get("/containers/box/logs?stdout=1&follow=1&tail=5&since=1.5")
        assert await answer.content.readany() == b"one\n"
        assert not engine.streams.closed.is_set()
        answer.close()
        await engine.streams.closed.wait()
    assert engine.streams.logs_request is not None
    assert engine.streams.logs_request.query.tail == 5


async def test_event_listener_ends_with_its_client(client: ClientSession, engine: FakeEngine) -> None:
    engine.system.more = asyncio.Event()
    async with asyncio.timeout(LIMIT_S):
        answer = await client.get("/v1.44/events")
        line = await answer.content.readline()
        assert line.startswith(b'{"status":"start","id":"ffff')
        answer.close()
        await engine.system.closed.wait()


@pytest.mark.parametrize(
    ("version", "accept", "kind"),
    [
        ("1.51", "*/*", "application/json"),
        ("1.52", "*/*", "application/jsonl"),
        ("1.52", "application/json-seq", "application/json-seq"),
    ],
)
async def test_kind_of_event_stream(client: ClientSession, version: str, accept: str, kind: str) -> None:
    async with client.get(f"/v{version}/events", headers={"Accept": accept}) as answer:
        assert answer.content_type == kind
        assert (await answer.read()).startswith(b"\x1e{" if "seq" in kind else b"{")


async def test_what_was_begun_goes_on_when_the_client_goes(address: str, engine: FakeEngine) -> None:
    engine.containers.hold.clear()
    _, writer = await _send(address, "POST /containers/box/stop HTTP/1.1\nHost: d\nContent-Length: 0")
    await writer.drain()
    await asyncio.sleep(0)
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(LIMIT_S):
        while not engine.containers.done:
            engine.containers.hold.set()
            await asyncio.sleep(0)
    assert engine.containers.done == [("stop", "box", "", None)]


async def test_error_after_the_first_line_of_progress_is_a_line(client: ClientSession) -> None:
    async with client.post("/images/create?fromImage=broken") as answer:
        lines = (await answer.read()).splitlines()
    assert answer.status == 200
    assert lines[-1] == b'{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}'


async def test_long_archive_streams(client: ClientSession, engine: FakeEngine) -> None:
    async with client.post("/images/load", data=io.BytesIO(b"x" * (40 << 20))) as answer:
        assert answer.status == 200
    assert engine.transfers.received == 40 << 20


async def test_registry_credentials(client: ClientSession, engine: FakeEngine) -> None:
    headers = {"X-Registry-Auth": "eyJ1c2VybmFtZSI6Im1lIiwicGFzc3dvcmQiOiJ4In0="}
    async with client.post("/images/create?fromImage=busybox", headers=headers) as answer:
        await answer.read()
    assert engine.transfers.auth is not None
    assert (engine.transfers.auth.username, engine.transfers.auth.password) == ("me", "x")
    assert "password" not in repr(engine.transfers.auth)


async def test_requests_wait_until_the_engine_is_ready(tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    async with Server("0.0.0") as server:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        await server.listen(listener)
        reader, writer = await _send(path, "GET /_ping HTTP/1.1\nHost: d")
        await writer.drain()
        server.serve(FakeEngine().backends().routes())
        assert (await _head(reader)).startswith("HTTP/1.1 200 OK")
        writer.close()


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1.56/info", 400, "client version 1.56 is too new. Maximum supported API version is 1.55"),
        ("/nonsense", 404, "page not found"),
        ("/v1.55/containers/box/nonsense", 404, "page not found"),
        ("/containers/box/logs", 400, "must specify at least one of 'stdout' or 'stderr'"),
        ("/containers/json?limit=x", 400, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("/containers/json?filters=nonsense", 400, "invalid filter"),
        ('/containers/json?filters={"nonsense":["x"]}', 400, "invalid filter 'nonsense'"),
        ("/networks/none", 404, "network none not found"),
    ],
)
async def test_refusals(client: ClientSession, path: str, status: int, message: str) -> None:
    async with client.get(path) as answer:
        assert (answer.status, await answer.json()) == (status, {"message": message})
        assert (await answer.read()).endswith(b"}\n")


async def test_client_that_is_too_old_reads_text(client: ClientSession) -> None:
    async with client.get("/v1.20/info") as answer:
        assert answer.status == 400
        assert await answer.text() == (
            "client version 1.20 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version\n"
        )


@pytest.mark.parametrize(
    ("headers", "body", "message"),
    [
        ({}, b"{", "malformed Content-Type header (): mime: no media type"),
        (
            {"Content-Type": "text/plain"},
            b"{}",
            "unsupported Content-Type header (text/plain): must be 'application/json'",
        ),
        ({"Content-Type": "application/json"}, b"", "invalid JSON: EOF"),
        ({"Content-Type": "application/json"}, b"{", "invalid JSON: unexpected EOF"),
        ({"Content-Type": "application/json"}, b"{} {}", "unexpected content after JSON"),
        (
            {"Content-Type": "application/json"},
            b"x" * ((16 << 20) + 1),
            "request body is too large (the limit is 16777216 bytes)",
        ),
    ],
    ids=["no type", "wrong type", "empty", "cut off", "two", "too long"],
)
async def test_bodies_that_are_refused(
    client: ClientSession, headers: dict[str, str], body: bytes, message: str
) -> None:
    skip = [] if "Content-Type" in headers else ["Content-Type"]
    request = client.post(
        "/containers/create", headers=headers, data=io.BytesIO(body), skip_auto_headers=skip
    )
    async with request as answer:
        assert (answer.status, await answer.json()) == (400, {"message": message})


async def test_body_of_a_commit_is_json(client: ClientSession) -> None:
    async with client.post("/commit", headers={"Content-Type": "text/plain"}, data=b"{}") as answer:
        assert answer.status == 400
        assert "unsupported Content-Type header (text/plain)" in (await answer.json())["message"]


async def test_body_in_any_case_with_nulls(client: ClientSession, engine: FakeEngine) -> None:
    body = b'{"image":"busybox","hostconfig":{"memory":7,"Binds":null},"Env":null,"Image":"busybox:2"}'
    headers = {"Content-Type": "application/json; charset=utf-8"}
    async with client.post("/containers/create", data=body, headers=headers) as answer:
        assert answer.status == 201
        assert await answer.json() == {"Id": ID, "Warnings": []}
    created = engine.containers.created
    assert isinstance(created, ContainerCreateRequest)
    assert created.image == "busybox:2"
    assert created.host_config is not None
    assert created.host_config.memory == 7


@pytest.mark.parametrize(("version", "shallow"), [("1.43", True), ("1.44", False)])
async def test_old_clients_read_only_binds_are_shallow(
    client: ClientSession, engine: FakeEngine, version: str, shallow: bool
) -> None:
    body = {"Image": "busybox", "HostConfig": {"Binds": ["/dev:/dev:ro"]}}
    async with client.post(f"/v{version}/containers/create", json=body) as answer:
        assert answer.status == 201
    assert engine.containers.shallow_read_only == shallow


async def test_ping_says_what_clients_negotiate_by(client: ClientSession) -> None:
    async with client.head("/_ping") as answer:
        headers = answer.headers
    assert (headers["Api-Version"], headers["Ostype"], headers["Swarm"]) == ("1.55", "linux", "inactive")
    assert headers["Docker-Experimental"] == "false"
    assert headers["Builder-Version"] == "1"
    assert headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    assert headers["Server"] == "Docker/0.0.0 (linux)"


async def test_path_is_cleaned_by_a_redirect(address: str) -> None:
    reader, writer = await _send(address, "GET /v1.44/images/../containers//json?a=b HTTP/1.1\nHost: d")
    head = await _head(reader)
    assert head.startswith("HTTP/1.1 301 ")
    assert "Location: /v1.44/containers/json?a=b\r\n" in head
    writer.close()


async def test_a_name_that_begins_with_a_dot_is_a_name(client: ClientSession) -> None:
    async with client.get("/v1.44/volumes/.x", allow_redirects=False) as answer:
        assert answer.status != 301


async def test_any_path_answers_options(client: ClientSession) -> None:
    async with client.options("/containers/json") as answer:
        assert answer.status == 200


async def test_engine_error_in_mid_stream_cuts_the_connection(
    client: ClientSession, engine: FakeEngine
) -> None:
    class Broken(asyncio.Event):
        async def wait(self) -> bool:  # type: ignore[override]
            raise RuntimeError("the engine broke")

    engine.streams.follow = Broken()
    async with client.get("/containers/box/logs?stdout=1") as answer:
        with pytest.raises(Exception, match=r"payload|closed|complete"):
            await answer.read()


async def _attach_over(address: str | int, server: Server, tls: ssl.SSLContext | None, trust: str) -> None:
    engine = FakeEngine()
    if isinstance(address, str):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
    else:
        listener = socket.create_server(("127.0.0.1", address))
    await server.listen(listener, tls)
    server.serve(engine.backends().routes())
    trusting = ssl.create_default_context(cafile=trust) if trust else None
    if trusting is not None:
        trusting.check_hostname = False
    async with asyncio.timeout(LIMIT_S):
        if isinstance(address, str):
            reader, writer = await asyncio.open_unix_connection(address)
        else:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", listener.getsockname()[1], ssl=trusting
            )
        writer.write(
            b"POST /containers/box/attach HTTP/1.1\r\nHost: d\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\nearly "
        )
        assert (await _head(reader)).startswith("HTTP/1.1 101 ")
        writer.write(b"hello")
        assert await reader.readexactly(11) == b"EARLY HELLO"
        if trusting is None:
            writer.write_eof()
            assert await reader.read() == b"BYE"
        writer.close()
        await engine.streams.closed.wait()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate of its own authority, and its key."""
    paths = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=engine", "-days", "1",
         "-keyout", paths[1], "-out", paths[0]],
        check=True, capture_output=True,
    )  # fmt: skip
    return paths


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("kind", ["unix", "tcp", "tls"])
def test_attach_on_every_loop_and_socket(
    tmp_path: Path, certificate: tuple[str, str], kind: str, run: Callable[..., None]
) -> None:
    async def main() -> None:
        tls = None
        if kind == "tls":
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(*certificate)
        async with Server("0.0.0") as server:
            address = str(tmp_path / "own.sock") if kind == "unix" else 0
            await _attach_over(address, server, tls, certificate[0] if tls else "")

    run(main())


async def test_client_that_does_not_read_holds_up_nobody(address: str, client: ClientSession) -> None:
    reader, writer = await _send(address, "\n\n".join(["GET /containers/json HTTP/1.1\nHost: d"] * 2000))
    async with asyncio.timeout(LIMIT_S):
        for _ in range(20):
            async with client.get("/_ping") as answer:
                assert await answer.text() == "OK"
    writer.close()
    del reader


async def test_closing_ends_streams_and_attachments(tmp_path: Path, engine: FakeEngine) -> None:
    engine.streams.follow = asyncio.Event()
    path = str(tmp_path / "api.sock")
    async with asyncio.timeout(LIMIT_S), contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server("0.0.0", close_limit_s=0.01))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        await server.listen(listener)
        server.serve(engine.backends().routes())
        reader, writer = await _send(path, "GET /containers/box/logs?stdout=1&follow=1 HTTP/1.1\nHost: d")
        await _head(reader)
        attached, attached_writer = await _send(
            path, "POST /containers/box/attach HTTP/1.1\nHost: d\nContent-Length: 0"
        )
        await _head(attached)
        await stack.aclose()
        await reader.read()
        assert await attached.read() == b""
        writer.close()
        attached_writer.close()
    assert engine.streams.closed.is_set()
