"""Layers that are broken off, again and again, are gone on with: each byte is fetched about once."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from moby.core.content import ContentStore
from moby.core.errors import MobyError, Unavailable
from moby.core.images import ImageStore
from moby.core.reference import parse_reference
from moby.core.types.jsonstream import JSONMessage
from moby.core.types.registries import AuthConfig
from moby.images.jobs import Report, first_error
from moby.images.pull import Puller, PullRequest, is_present
from moby.images.registry.client import Registries
from moby.images.registry.settings import RegistryConfig
from moby.images.stores.containerd import ContainerdImages
from moby.testing.images import MemoryImages
from tests.integration.registry.conftest import Made, digest
from tests.integration.registry.test_misbehaving import MANIFEST, Registry, serving

pytestmark = pytest.mark.containerd
MADE = Made({"a": os.urandom(6 << 20)}, {"b": os.urandom(3 << 20)}, {"c": b"small"})
LAYERS = sum(len(layer) for layer in MADE.layers)


class Unreliable(Registry):
    """Ends connections early and asks for patience; counts what it sends of layers."""

    def __init__(self, *, piece: int = 1 << 62, patience: float = 0.0) -> None:
        super().__init__()
        self.blob = self.part
        self.piece = piece
        self.patience = patience
        self.sent = 0
        self.halfway = False
        self.asked_for_the_rest = asyncio.Event()
        self.random = random.Random(1)

    async def good_manifest(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=MADE.manifest, content_type=MANIFEST)

    async def part(self, request: web.Request) -> web.StreamResponse:
        if self.random.random() < self.patience:
            headers = self.random.choice(
                ({}, {"Retry-After": "0"}, {"Retry-After": "Sat, 01 Jan 2000 00:00:00 GMT"})
            )
            return web.Response(status=self.random.choice((429, 503)), headers=headers)
        data = MADE.blobs[request.path.rpartition("/")[2]]
        begin = int(request.headers.get("Range", "bytes=0-")[6:-1])
        if data == MADE.config:
            return web.Response(body=data)
        response = web.StreamResponse(status=206 if begin else 200)
        response.content_length = len(data) - begin
        response.headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        await response.prepare(request)
        end = min(len(data), begin + self.piece)
        if self.halfway and data is MADE.layers[0]:
            end = len(data) // 2
            self.blob = self.silent
        for start in range(begin, end, 1 << 16):
            await response.write(data[start : min(end, start + (1 << 16))])
        self.sent += end - begin
        if end < len(data):
            assert request.transport is not None
            request.transport.close()
        return response

    async def silent(self, request: web.Request) -> web.StreamResponse:
        if "Range" not in request.headers:
            return await self.part(request)
        self.asked_for_the_rest.set()
        await asyncio.sleep(600)
        return web.Response()


@asynccontextmanager
async def unreliable(**how: float) -> AsyncIterator[Unreliable]:
    registry = Unreliable(**how)  # type: ignore[arg-type]
    async with serving(registry):
        yield registry


async def pull(registry: Registry, store: ImageStore, attempts: int = 5) -> list[JSONMessage]:
    config = RegistryConfig(certs_dir="/nonexistent", retry_delay_s=0.001, max_download_attempts=attempts)
    messages: list[JSONMessage] = []
    async with Registries(lambda: config) as registries:
        try:
            request = PullRequest(parse_reference(f"{registry.address}/a/b:1"))
            await Puller(store, registries).pull(request, Report(messages.append))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
    return messages


async def whole(store: ImageStore) -> bool:
    """Is every blob here?"""
    return [await store.content.read(name, limit=1 << 30) for name in MADE.blobs] == list(MADE.blobs.values())


@pytest.mark.parametrize("store", ["files", "sent"], indirect=True)
async def test_a_registry_that_cuts_every_connection_and_asks_for_patience(store: ContainerdImages) -> None:
    async with unreliable(piece=1 << 20, patience=0.4) as registry:
        messages = await pull(registry, store)
    assert messages[-1].status.startswith("Status: Downloaded newer image")
    assert registry.sent < LAYERS * 1.05
    assert await whole(store)


@pytest.mark.parametrize(
    ("store", "memory"), [("files", False), ("sent", False), ("", True)], indirect=["store"]
)
async def test_a_pull_that_was_cancelled_is_gone_on_with(store: ContainerdImages, memory: bool) -> None:
    place: ImageStore = MemoryImages() if memory else store
    async with unreliable() as registry:
        registry.halfway = True
        async with asyncio.TaskGroup() as group:
            pulling = group.create_task(pull(registry, place))
            # What was sent has also been stored when the rest is asked for.
            await registry.asked_for_the_rest.wait()
            while not all([await is_present(place, digest(layer)) for layer in MADE.layers[1:]]):
                await asyncio.sleep(0.01)
            pulling.cancel()
        assert not await place.list()
        assert not [info async for info in place.snapshotter.walk() if info.kind == "committed"]
        registry.blob, registry.halfway = registry.part, False
        await pull(registry, place)
        assert registry.sent < LAYERS * 1.05
        assert await whole(place)


@pytest.mark.parametrize("store", ["files", "sent"], indirect=True)
async def test_a_pull_that_failed_is_gone_on_with(store: ContainerdImages) -> None:
    async with unreliable(piece=1 << 20) as registry:

        async def busy(request: web.Request) -> web.StreamResponse:
            if "Range" in request.headers:
                return web.Response(status=503)
            return await registry.part(request)

        registry.blob = busy
        with pytest.raises(Unavailable):
            await pull(registry, store, attempts=2)
        registry.blob = registry.part
        await pull(registry, store)
        assert registry.sent < LAYERS * 1.05
        assert await whole(store)


@pytest.mark.parametrize("store", ["files", "sent"], indirect=True)
async def test_what_was_left_and_is_bad_is_fetched_again(store: ContainerdImages) -> None:
    async with unreliable() as registry:
        for layer, name in zip(MADE.layers, list(MADE.blobs)[1:], strict=True):
            await broken_write(store.content, f"layer-{name}", len(layer), name)
        await pull(registry, store)
        assert await whole(store)


async def broken_write(content: ContentStore, ref: str, size: int, wanted: str) -> None:
    """A partial write of something else, as a torn file would be."""

    async def zeros(offset: int) -> AsyncIterator[bytes]:
        yield bytes(min(size, 1000))
        raise MobyError("broken")

    with pytest.raises(MobyError, match="broken"):
        await content.resume(ref, zeros, size=size, digest=wanted)


def hosts(directory: Path, registry: Registry, *mirrors: Registry) -> RegistryConfig:
    """A configuration with mirrors for that registry."""
    place = directory / registry.address
    place.mkdir()
    text = "".join(
        f'[host."http://{each.address}"]\ncapabilities = ["pull", "resolve"]\n' for each in mirrors
    )
    (place / "hosts.toml").write_text(f'server = "http://{registry.address}"\n{text}')
    return RegistryConfig(certs_dir=str(directory), retry_delay_s=0.001)


async def mirrored(config: RegistryConfig, registry: Registry, store: ImageStore) -> None:
    async with Registries(lambda: config) as registries:
        request = PullRequest(
            parse_reference(f"{registry.address}/a/b:1"), auth=AuthConfig(username="u", password="p")
        )
        await Puller(store, registries).pull(request, Report(lambda _: None))


async def test_mirrors_serve_any_registry(store: ContainerdImages, tmp_path: Path) -> None:
    async with unreliable() as own, unreliable() as mirror:
        await mirrored(hosts(tmp_path, own, mirror), own, store)
        assert await whole(store)
        assert not own.seen
        assert (await store.get(f"{own.address}/a/b:1")).target.digest == MADE.digest


async def test_what_mirrors_cannot_give_is_asked_of_the_next(store: ContainerdImages, tmp_path: Path) -> None:
    """One is down, one breaks off in the middle of every blob, one has nothing; none sees a password."""

    async def missing(request: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    async def guarded(request: web.Request) -> web.StreamResponse:
        if "Authorization" not in request.headers:
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic realm=x"})
        return await own.part(request)

    async with (
        unreliable() as own,
        unreliable() as down,
        unreliable(piece=100_000) as early,
        unreliable() as empty,
    ):
        config = hosts(tmp_path, own, down, empty, early)
        down.address = "gone"
        down.manifest = down.blob = missing
        empty.blob = missing
        own.blob = guarded
        await mirrored(config, own, store)
        assert await whole(store)
        assert own.sent + early.sent < LAYERS * 1.05
        assert early.sent > 100_000
        for mirror in (down, early, empty):
            assert not any("Authorization" in headers for _, _, headers in mirror.seen)
