from __future__ import annotations

from collections.abc import Mapping

import pytest

from moby.core.errors import NotFound
from moby.core.store import Store
from moby.core.types.containers import ContainerConfig, HostConfig
from moby.engine.containers.container import Container
from moby.engine.containers.record import Record
from moby.engine.containers.shelf import Shelf
from moby.engine.events import Events


class Documents(Store):
    """A store in memory, for a test."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, bytes]] = {}

    async def save(self, table: str, key: str, document: bytes) -> None:
        self.tables.setdefault(table, {})[key] = document

    async def delete(self, table: str, key: str) -> None:
        self.tables.setdefault(table, {}).pop(key, None)

    async def load(self, table: str) -> Mapping[str, bytes]:
        return dict(self.tables.get(table, {}))


def container(letter: str, name: str, *, removing: bool = False) -> Container:
    return Container(
        Record(
            id=letter * 64, name=name, created="", image="", chain="", platform="linux", path="true", args=[],
            config=ContainerConfig(), host_config=HostConfig(), removing=removing,
        )
    )  # fmt: skip


async def test_a_removed_container_is_not_written_again() -> None:
    store = Documents()
    shelf = Shelf(store, Events())
    one = container("a", "web")
    shelf.index.add(one)
    await shelf.save(one)
    await shelf.forget(one)
    one.tell_removed()
    with pytest.raises(NotFound, match="No such container"):
        await shelf.save(one)
    assert store.tables["containers"] == {}


async def test_what_is_being_removed_takes_no_name_from_what_lives() -> None:
    store = Documents()
    before = Shelf(store, Events())
    for one in (container("a", "web", removing=True), container("b", "web")):
        await before.save(one)
    after = Shelf(store, Events())
    await after.load()
    assert after.find("web").id == "b" * 64
    assert after.find("a" * 64).record.name == "a" * 12
