"""What comes for ::1 is passed on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

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


async def serve(proxies: Proxies, kind: Transport, target: int) -> int:
    with bound(socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as held:
        await proxies.serve("owner", [(kind, held, ("127.0.0.1", target))])
        port: int = held.getsockname()[1]
    return port


async def test_connections_with_both_their_ends(proxies: Proxies) -> None:
    async with await asyncio.start_server(upper, "127.0.0.1", 0) as server:
        port = await serve(proxies, "tcp", server.sockets[0].getsockname()[1])
        answers = await asyncio.gather(*(ask(port, b"hello" * 100_000) for _ in range(3)))
        assert answers == [b"HELLO" * 100_000] * 3


async def test_nobody_behind_it_ends_the_connection(proxies: Proxies) -> None:
    with bound(socket.SOCK_STREAM) as closed:
        port = await serve(proxies, "tcp", closed.getsockname()[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


async def test_datagrams_and_their_answers(proxies: Proxies) -> None:
    loop = asyncio.get_running_loop()
    with bound(socket.SOCK_DGRAM) as server, bound(socket.SOCK_DGRAM) as client:
        server.setblocking(False)
        client.setblocking(False)
        port = await serve(proxies, "udp", server.getsockname()[1])
        for text in (b"one", b"two"):
            await loop.sock_sendto(client, text, ("127.0.0.1", port))
            async with asyncio.timeout(20):
                data, peer = await loop.sock_recvfrom(server, 100)
                await loop.sock_sendto(server, data.upper(), peer)
                assert await loop.sock_recv(client, 100) == text.upper()


async def test_after_its_end_nobody_listens(proxies: Proxies) -> None:
    async with await asyncio.start_server(upper, "127.0.0.1", 0) as server:
        port = await serve(proxies, "tcp", server.sockets[0].getsockname()[1])
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
            await proxies.serve("owner", served)
            reader, writer = await asyncio.open_connection("127.0.0.1", granted.host_port)
            assert await ask(granted.host_port, b"hello") == b"HELLO"
            proxies.close("owner")
            ports.release("owner")
            (granted,) = ports.reserve("owner", [granted])
            writer.close()
            await reader.read()
        ports.close()
