"""Content, leases, snapshots and names, kept by a real containerd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moby.core.descriptor import Descriptor
from moby.core.digest import digest_of
from moby.core.errors import Conflict, DataLoss, InvalidParameter, NotFound, Unavailable
from moby.core.images import StoredImage
from moby.host.containerd.client import Containerd
from moby.host.containerd.introspection import snapshotters
from moby.images.stores.containerd import ContainerdImages
from tests.integration.containerd.machine import PLAIN, ROOT, chunked

pytestmark = pytest.mark.containerd
BLOB = bytes(range(256)) * 20_000


async def test_content_comes_back_as_it_was_written(images: ContainerdImages) -> None:
    async with images.leases.hold():
        info = await images.content.write("a", chunked(BLOB, 700_000), labels={"one": "1"})
        assert (info.digest, info.size, info.labels) == (digest_of(BLOB), len(BLOB), {"one": "1"})
        assert await images.content.read(info.digest) == BLOB
        assert (
            b"".join([part async for part in images.content.stream(info.digest, offset=5_000_000)])
            == (BLOB[5_000_000:])
        )
        assert [found.digest async for found in images.content.walk()] == [info.digest]
        with pytest.raises(InvalidParameter):
            await images.content.read(info.digest, limit=100)


async def test_large_chunks_are_divided(images: ContainerdImages) -> None:
    data = BLOB * 8
    async with images.leases.hold():
        info = await images.content.write("big", chunked(data, len(data)))
    assert (info.digest, info.size) == (digest_of(data), len(data))


async def test_empty_content_is_content(images: ContainerdImages) -> None:
    async with images.leases.hold():
        for _ in range(2):
            info = await images.content.write("empty", chunked(b""))
            assert (info.digest, info.size) == (digest_of(b""), 0)


async def test_content_that_is_there_is_not_read_again_and_gets_the_labels(images: ContainerdImages) -> None:
    async def unread() -> AsyncIterator[bytes]:
        async for part in chunked(BLOB):
            taken.append(part)
            yield part

    taken: list[bytes] = []
    digest = digest_of(BLOB)
    async with images.leases.hold():
        await images.content.write("a", chunked(BLOB), labels={"one": "1"})
        info = await images.content.write("b", unread(), size=len(BLOB), digest=digest, labels={"two": "2"})
        assert (info.digest, info.size, info.labels) == (digest, len(BLOB), {"one": "1", "two": "2"})
        assert not taken
        unknown_before = await images.content.write("c", chunked(BLOB), labels={"three": "3"})
        assert unknown_before.labels == {"one": "1", "two": "2", "three": "3"}


async def test_wrong_content_is_refused_and_the_right_one_taken(images: ContainerdImages) -> None:
    digest = digest_of(BLOB)
    async with images.leases.hold():
        with pytest.raises(DataLoss, match="unexpected commit digest"):
            await images.content.write("a", chunked(BLOB[1:] + b"x"), size=len(BLOB), digest=digest)
        with pytest.raises(DataLoss, match="has 9 bytes instead of"):
            await images.content.write("a", chunked(BLOB[:9]), size=len(BLOB), digest=digest)
        with pytest.raises(NotFound):
            await images.content.info(digest)
        info = await images.content.write("a", chunked(BLOB), size=len(BLOB), digest=digest)
        assert info.size == len(BLOB)


async def test_a_write_that_failed_midway_begins_anew(images: ContainerdImages) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield BLOB[: 3 << 20]
        raise OSError("the network went away")

    async with images.leases.hold():
        with pytest.raises(OSError, match="network"):
            await images.content.write("a", broken(), size=len(BLOB), digest=digest_of(BLOB))
        info = await images.content.write("a", chunked(BLOB), size=len(BLOB), digest=digest_of(BLOB))
        assert await images.content.read(info.digest) == BLOB


async def test_two_that_write_the_same_wait_for_each_other(images: ContainerdImages) -> None:
    async def slow() -> AsyncIterator[bytes]:
        async for part in chunked(BLOB):
            await asyncio.sleep(0.01)
            yield part

    async with images.leases.hold(), asyncio.TaskGroup() as group:
        writes = [
            group.create_task(images.content.write("same", slow(), size=len(BLOB), digest=digest_of(BLOB)))
            for _ in range(3)
        ]
    assert {write.result().digest for write in writes} == {digest_of(BLOB)}


async def test_labels_are_set_and_removed(images: ContainerdImages) -> None:
    async with images.leases.hold():
        info = await images.content.write("a", chunked(b"x"), labels={"one": "1", "two": "2"})
        await images.content.label(info.digest, {"one": "", "containerd.io/gc.ref.content.l.0": "3"})
        labels = (await images.content.info(info.digest)).labels
        assert labels == {"two": "2", "containerd.io/gc.ref.content.l.0": "3"}
        await images.content.delete(info.digest)
        await images.content.delete(info.digest)
        with pytest.raises(NotFound):
            await images.content.label(info.digest, {"one": "1"})


async def test_a_lease_keeps_what_nothing_refers_to(images: ContainerdImages) -> None:
    async def collect() -> None:
        await images.put(StoredImage("collect", Descriptor("text/plain", digest_of(b"none"), 4)))
        await images.delete("collect", sync=True)

    async with images.leases.hold():
        info = await images.content.write("a", chunked(b"kept"))
        await images.snapshotter.prepare("kept", "")
        async with images.leases.hold():
            pass
        await collect()
        assert await images.content.read(info.digest) == b"kept"
        assert (await images.snapshotter.info("kept")).kind == "active"
    assert await images.leases.names() == []
    await collect()
    with pytest.raises(NotFound):
        await images.content.info(info.digest)
    with pytest.raises(NotFound):
        await images.snapshotter.info("kept")


async def test_who_is_cancelled_while_taking_a_lease_leaves_none(images: ContainerdImages) -> None:
    async def hold() -> None:
        async with images.leases.hold():
            await asyncio.sleep(60)

    for turn in range(40):
        task = asyncio.get_running_loop().create_task(hold())
        await asyncio.sleep(turn / 20_000)
        task.cancel()
        await asyncio.wait([task])
    assert await images.leases.names() == []


async def test_a_lease_ends_with_a_generator_that_another_task_closes(images: ContainerdImages) -> None:
    async def progress() -> AsyncIterator[int]:
        async with images.leases.hold():
            yield 1

    stream = progress()
    async with asyncio.TaskGroup() as group:
        group.create_task(anext(stream))  # type: ignore[arg-type]
    assert len(await images.leases.names()) == 1
    await stream.aclose()  # type: ignore[attr-defined]
    assert await images.leases.names() == []


async def test_a_task_that_outlives_its_lease_works_on_and_takes_another(images: ContainerdImages) -> None:
    ended = asyncio.Event()

    async def outlives() -> None:
        await ended.wait()
        await images.content.write("late", chunked(b"late"))
        async with images.leases.hold():
            assert len(await images.leases.names()) == 1

    async with asyncio.TaskGroup() as group:
        async with images.leases.hold():
            group.create_task(outlives())
        ended.set()


async def test_stale_leases_are_dropped(client: Containerd, images: ContainerdImages) -> None:
    async with images.leases.hold():
        assert len(await images.leases.names()) == 1
        await images.leases.drop_stale()
        assert await images.leases.names() == []


async def test_life_of_a_snapshot(images: ContainerdImages, layer: bytes) -> None:
    snapshotter = images.snapshotter
    async with images.leases.hold():
        info = await images.content.write("layer", chunked(layer))
        mounts = await snapshotter.prepare("unpacking", "", {"a": "b"})
        with pytest.raises(Conflict):
            await snapshotter.prepare("unpacking", "")
        assert await snapshotter.mounts("unpacking") == mounts
        assert await images.differ.apply(Descriptor(PLAIN, info.digest, info.size), mounts) == info.digest
        await snapshotter.commit("base", "unpacking", ROOT)
        with pytest.raises(NotFound):
            await snapshotter.mounts("unpacking")
        assert (await snapshotter.usage("base")).size > 1_000_000
        assert (await snapshotter.info("base")).kind == "committed"
        view = await snapshotter.view("looking", "base")
        upper = await snapshotter.prepare("upper", "base")
        assert {found.name async for found in snapshotter.walk()} == {"base", "looking", "upper"}
        changes = await images.differ.diff(view, upper, f"{PLAIN}+gzip")
        assert (await images.content.info(changes.digest)).size == changes.size
        with pytest.raises(Conflict):
            await snapshotter.remove("base")
        with pytest.raises(NotFound):
            await snapshotter.prepare("orphan", "absent")
        for key in ("looking", "upper", "base", "base"):
            await snapshotter.remove(key)
        assert [found async for found in snapshotter.walk()] == []


async def test_names_move_and_go(images: ContainerdImages) -> None:
    first = StoredImage(
        "docker.io/library/a:1", Descriptor("text/plain", digest_of(b"1"), 1, annotations={"k": "v"})
    )
    second = StoredImage("docker.io/library/a:1", Descriptor("text/plain", digest_of(b"2"), 1), {"l": "m"})
    await images.put(first)
    found = await images.get(first.name)
    assert found.target == first.target
    assert found.created_at is not None
    await images.put(second)
    [moved] = await images.list()
    assert (moved.name, moved.target, moved.labels) == (second.name, second.target, second.labels)
    await images.delete(first.name)
    with pytest.raises(NotFound):
        await images.delete(first.name)
    with pytest.raises(NotFound):
        await images.get(first.name)


async def test_it_says_which_snapshotters_work(client: Containerd) -> None:
    assert {"overlayfs", "native"} <= set(await snapshotters(client))


async def test_nobody_listening_is_unavailable(directory: Path) -> None:
    async with Containerd(str(directory / "absent.sock")) as client:
        with pytest.raises(Unavailable):
            await client.version(limit_s=0.2)
        with pytest.raises(Unavailable, match="cannot connect to containerd"):
            await client.connected(limit_s=0.2)
