"""What nothing refers to is freed at once; what somebody pulls at this moment is not."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable

import pytest

from moby.core.errors import NotFound
from moby.core.images import StoredImage
from moby.core.reference import parse_reference
from moby.host.containerd.blob_files import BlobFile
from moby.host.containerd.client import Containerd
from moby.images.contents import Contents
from moby.images.jobs import Report
from moby.images.pull import Puller, PullRequest
from moby.images.registry.client import Registries
from moby.images.registry.settings import RegistryConfig
from moby.images.stores.containerd import ContainerdImages
from tests.integration.registry.conftest import Made, digest, upload

pytestmark = [pytest.mark.containerd, pytest.mark.registry]
CONFIG = RegistryConfig(certs_dir="/nonexistent", retry_delay_s=0.01)
BASE, MIDDLE = {"a": os.urandom(200_000)}, {"b": os.urandom(100_000)}


@pytest.fixture
async def puller(store: ContainerdImages) -> AsyncIterator[Puller]:
    async with Registries(lambda: CONFIG) as registries:
        yield Puller(store, registries)


async def pull(puller: Puller, name: str) -> StoredImage:
    return await puller.pull(PullRequest(parse_reference(name)), Report(lambda _: None))


async def everything(store: ContainerdImages) -> set[str]:
    blobs = {info.digest async for info in store.content.walk()}
    return blobs | {info.name async for info in store.snapshotter.walk()}


async def whole(store: ContainerdImages, image: StoredImage) -> bool:
    """Is all of an image here, unpacked?"""
    contents = Contents(store)
    document = await contents.document(image.target)
    chain = (await contents.image(document)).chain
    return await contents.complete(image.target) and (await store.snapshotter.info(chain)).kind == "committed"


async def test_what_is_removed_is_freed_at_once(
    start_registry: Callable[..., str], store: ContainerdImages, puller: Puller
) -> None:
    host = start_registry()
    upload(f"http://{host}", "a", "1", Made(BASE, MIDDLE))
    upload(f"http://{host}", "b", "1", Made(BASE, {"c": b"c"}))
    await pull(puller, f"{host}/a:1")
    before = await everything(store)
    image = await pull(puller, f"{host}/b:1")
    assert len(await everything(store)) == len(before) + 4
    await store.delete(image.name, sync=True)
    assert await everything(store) == before
    await store.delete(f"{host}/a:1", sync=True)
    assert not await everything(store)


async def test_what_is_pulled_is_not_lost_while_others_are_removed(
    start_registry: Callable[..., str], store: ContainerdImages, puller: Puller
) -> None:
    host = start_registry()
    made = [Made(BASE), Made(BASE, MIDDLE), Made(BASE, MIDDLE, {"d": b"d"}), Made(BASE, {"e": b"e"}, MIDDLE)]
    for number, each in enumerate(made):
        upload(f"http://{host}", "app", str(number), each)
    done = asyncio.Event()

    async def remove() -> None:
        """Names come and go, and what only they had with them."""
        while not done.is_set():
            for image in await store.list():
                if image.name.endswith("-gone"):
                    await store.delete(image.name, sync=True)
            await asyncio.sleep(0.001)

    async def work(seed: int) -> None:
        choice = random.Random(seed)
        for turn in range(8):
            image = await pull(puller, f"{host}/app:{choice.randrange(len(made))}")
            own = StoredImage(f"{image.name}-{seed}-{turn}", image.target)
            try:
                await store.delete(image.name)
            except NotFound:
                continue  # somebody else had the same turn
            async with store.leases.hold():
                await store.leases.hold_on("content", image.target.digest)
                if not await Contents(store).present(image.target.digest):
                    continue  # and was quicker to remove it
                await store.put(own)
            assert await whole(store, own)
            await store.put(StoredImage(f"{own.name}-gone", own.target))
            await store.delete(own.name)

    async with asyncio.TaskGroup() as group:
        group.create_task(remove())
        async with asyncio.TaskGroup() as workers:
            for seed in range(4):
                workers.create_task(work(seed))
        done.set()
    for image in await store.list():
        await store.delete(image.name, sync=True)
    assert not await everything(store)


async def test_what_a_crash_leaves_half_unpacked_is_freed(
    start_registry: Callable[..., str], store: ContainerdImages, puller: Puller
) -> None:
    """A lease that nobody ends any more is dropped when the daemon starts again."""
    client = store.content._client
    async with Containerd(client.address, client.namespace) as crashed:
        before = ContainerdImages(crashed)
        lease = before.leases.hold()
        await lease.__aenter__()
        await before.snapshotter.prepare("extract-1 sha256:1", "")
        await before.snapshotter.prepare("extract-2 sha256:2", "")
    assert len(await everything(store)) == 2
    await store.leases.drop_stale()
    host = start_registry()
    upload(f"http://{host}", "a", "1", Made(BASE))
    await store.delete((await pull(puller, f"{host}/a:1")).name, sync=True)
    assert not await everything(store)


async def test_a_blob_that_is_collected_before_it_is_taken_in(
    store: ContainerdImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, times = os.urandom(1 << 20), 0
    place = BlobFile.place

    async def too_late(self: BlobFile, name: str) -> None:
        nonlocal times
        times += 1
        await place(self, name)
        if times < 3:
            (self._blobs / name.removeprefix("sha256:")).unlink()

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    monkeypatch.setattr(BlobFile, "place", too_late)
    async with store.leases.hold():
        await store.content.write("x", chunks(), size=len(data), digest=digest(data))
        assert await store.content.read(digest(data)) == data
        assert b"".join([chunk async for chunk in store.content.stream(digest(data))]) == data
    assert times == 3


async def test_what_only_a_lease_kept_can_go_with_it(store: ContainerdImages) -> None:
    data = os.urandom(1000)

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    async with store.leases.hold(collect=True):
        await store.content.write("x", chunks(), digest=digest(data))
        assert await everything(store) == {digest(data)}
    assert not await everything(store)
