"""What is removed after the power was lost, and what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moby.core.errors import Unavailable
from moby.core.snapshots import SnapshotInfo
from moby.images import lasting
from moby.images.lasting import SPAN, Lasting
from moby.testing.images import MemoryImages, MemorySnapshots


async def commit(store: MemoryImages, name: str, parent: str, span: Lasting, place: Path) -> None:
    await store.snapshotter.prepare(f"key-{name}", parent)
    await store.snapshotter.commit(name, f"key-{name}", span.labels(place))


async def names(store: MemoryImages) -> set[str]:
    return {info.name async for info in store.snapshotter.walk()}


async def test_what_was_not_on_disk_is_removed_children_first(tmp_path: Path) -> None:
    store, file = MemoryImages(), tmp_path / "unpacked.json"
    async with store.leases.hold():
        first = Lasting(store.snapshotter, file, boot="one")
        await first.at_start()
        await commit(store, "a", "", first, tmp_path)
        await first.sync()
        await commit(store, "b", "a", first, tmp_path)
        await commit(store, "c", "b", first, tmp_path)
        await store.snapshotter.prepare("key-d", "")
        await store.snapshotter.commit("d", "key-d")  # not ours

        again = Lasting(store.snapshotter, file, boot="one")
        await again.at_start()
        assert await names(store) == {"a", "b", "c", "d"}

        after = Lasting(store.snapshotter, file, boot="two")
        await after.at_start()
        assert await names(store) == {"a", "d"}
        await commit(store, "b", "a", after, tmp_path)
        assert int((await store.snapshotter.info("b")).labels[SPAN]) > 2
        await after.sync()
        await Lasting(store.snapshotter, file, boot="three").at_start()
        assert await names(store) == {"a", "b", "d"}


async def test_what_a_container_is_made_of_stays_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, file = MemoryImages(), tmp_path / "unpacked.json"
    async with store.leases.hold():
        first = Lasting(store.snapshotter, file, boot="one")
        await first.at_start()
        await commit(store, "a", "", first, tmp_path)
        await store.snapshotter.prepare("container", "a")
        await Lasting(store.snapshotter, file, boot="two").at_start()
        assert await names(store) == {"a", "container"}
    assert "is in use" in caplog.text


async def test_what_cannot_be_written_is_not_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Path) -> None:
        raise OSError(5, "Input/output error")

    store, file = MemoryImages(), tmp_path / "unpacked.json"
    async with store.leases.hold():
        first = Lasting(store.snapshotter, file, boot="one")
        await first.at_start()
        await commit(store, "a", "", first, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(lasting, "sync_file_system", fails)
            await first.sync()
        assert "cannot be written" in caplog.text
        await Lasting(store.snapshotter, file, boot="two").at_start()
    assert await names(store) == set()


async def test_nothing_is_said_of_snapshots_that_could_not_be_looked_at(tmp_path: Path) -> None:
    class Away(MemorySnapshots):
        async def walk(self) -> AsyncIterator[SnapshotInfo]:
            async for info in super().walk():
                yield info
                raise Unavailable("containerd is away")

    store, file = MemoryImages(), tmp_path / "unpacked.json"
    async with store.leases.hold():
        first = Lasting(store.snapshotter, file, boot="one")
        await first.at_start()
        await commit(store, "a", "", first, tmp_path)
        second = Lasting(Away(store), file, boot="two")
        await second.at_start()
        await second.sync()
        await Lasting(store.snapshotter, file, boot="two").at_start()
    assert await names(store) == set()


async def test_a_record_that_is_none_says_nothing(tmp_path: Path) -> None:
    store, file = MemoryImages(), tmp_path / "unpacked.json"
    async with store.leases.hold():
        first = Lasting(store.snapshotter, file, boot="one")
        await first.at_start()
        await commit(store, "a", "", first, tmp_path / "gone")
        await first.sync()
        file.write_bytes(b"{")
        await Lasting(store.snapshotter, file, boot="one").at_start()
    assert await names(store) == set()
