"""A server with an engine made of constants, and a client of it, each on a unix socket of its own."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector

from moby.api.server import Server
from tests.contract.fakes import FakeEngine


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def address(tmp_path: Path, engine: FakeEngine) -> AsyncIterator[str]:
    """A unix socket on which the API is served."""
    path = str(tmp_path / "api.sock")
    async with Server("0.0.0") as server:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        await server.listen(listener)
        server.serve(engine.backends().routes())
        yield path


@pytest.fixture
async def client(address: str) -> AsyncIterator[ClientSession]:
    """An HTTP client that is not ours."""
    async with ClientSession("http://engine", connector=UnixConnector(address)) as session:
        yield session
