"""Real bridges, namespaces and tables, each test's own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from moby.host import namespaces
from moby.host.nftables import Nftables
from moby.host.store import SqliteStore
from tests.integration.kernel.networks.machine import Machine, Outside


@pytest.fixture
def nftables(tmp_path: Path) -> Iterator[Nftables]:
    """A packet filter of its own: the library's socket belongs to the namespace in which it is opened."""
    found = Nftables()
    path = tmp_path / "namespace"
    namespaces.make(path, lambda: found.run("list ruleset"))
    yield found
    found.close()
    namespaces.remove(path)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """A daemon's networking on a bridge of its own; what it made is gone afterwards."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteStore(tmp_path / "state.db"))
        found = Machine(tmp_path, store, f"mt{secrets.token_hex(4)}", Nftables())
        stack.push_async_callback(found.remove)
        yield found


@pytest.fixture
def outside() -> Iterator[Outside]:
    """Another host: a namespace that reaches ours over a veth pair."""
    found = Outside(f"mo{secrets.token_hex(4)}")
    try:
        yield found
    finally:
        found.remove()
