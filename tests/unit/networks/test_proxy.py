"""What comes for ::1 is passed on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from moby.core.networks import PortMapping, Transport
from moby.networks.ports import Ports
from moby.networks.proxy import Proxies


def bound(kind: socket.SocketKind) -> socket.socket:
    found = socket.socket(socket.AF_INET, kind)
    found.bind(("127.0.0.1", 0))
    return found


@pytest.fixture
async def proxies() -> AsyncIterator[Proxies]:
    found = Proxies()
    yield found
    found.close_all()
    for _ in range(20):  # The loop closes what was let go of.
        await asyncio.sleep(0)


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.read()).upper())
    writer.close()


async def ask(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


Serve = Callable[[Transport, int], int]


@pytest.fixture
async def serve(proxies: Proxies) -> AsyncIterator[Serve]:
    """Serves a new socket, for a target; its port."""
    with contextlib.ExitStack() as stack:

        def serve(kind: Transport, target: int) -> int:
            held = stack.enter_context(bound(socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM))
            proxies.serve("owner", [(kind, held, ("127.0.0.1", target))])
            port: int = held.getsockname()[1]
            return port

        yield serve
        proxies.close("owner")


async def test_connections_with_both_their_ends(serve: Serve) -> None:
    async with await asyncio.start_server(upper, "127.0.0.1", 0) as server:
        port = serve("tcp", server.sockets[0].getsockname()[1])
        answers = await asyncio.gather(*(ask(port, b"hello" * 100_000) for _ in range(3)))
        assert answers == [b"HELLO" * 100_000] * 3


async def test_nobody_behind_it_ends_the_connection(serve: Serve) -> None:
    with bound(socket.SOCK_STREAM) as closed:
        port = serve("tcp", closed.getsockname()[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


async def test_datagrams_and_their_answers(serve: Serve) -> None:
    loop = asyncio.get_running_loop()
    with bound(socket.SOCK_DGRAM) as server, bound(socket.SOCK_DGRAM) as client:
        server.setblocking(False)
        client.setblocking(False)
        port = serve("udp", server.getsockname()[1])
        for text in (b"one", b"two"):
            await loop.sock_sendto(client, text, ("127.0.0.1", port))
            async with asyncio.timeout(20):
                data, peer = await loop.sock_recvfrom(server, 100)
                await loop.sock_sendto(server, data.upper(), peer)
                assert await loop.sock_recv(client, 100) == text.upper()


async def test_after_its_end_nobody_listens(proxies: Proxies, serve: Serve) -> None:
    async with await asyncio.start_server(upper, "127.0.0.1", 0) as server:
        port = serve("tcp", server.sockets[0].getsockname()[1])
        proxies.close("owner")
        proxies.close("owner")
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await ask(port, b"x")


async def test_the_port_is_free_at_once(proxies: Proxies) -> None:
    async with await asyncio.start_server(upper, "127.0.0.1", 0) as server:
        target = server.sockets[0].getsockname()[1]
        ports = Ports()
        (granted,) = ports.reserve("owner", [PortMapping("tcp", 80, "127.0.0.1")])
        for _ in range(3):
            served = [
                (protocol, held, ("127.0.0.1", target)) for protocol, _, _, held in ports.sockets("owner")
            ]
            proxies.serve("owner", served)
            reader, writer = await asyncio.open_connection("127.0.0.1", granted.host_port)
            assert await ask(granted.host_port, b"hello") == b"HELLO"
            proxies.close("owner")
            ports.release("owner")
            (granted,) = ports.reserve("owner", [granted])
            writer.close()
            await reader.read()
        ports.close()
