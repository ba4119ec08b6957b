"""Blobs on their way to registries that do not take them as they are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from moby.core.descriptor import Descriptor
from moby.core.digest import digest_of
from moby.core.errors import MobyError
from moby.core.reference import parse_reference
from moby.images.registry import upload
from moby.images.registry.client import Registries
from moby.images.registry.settings import RegistryConfig
from moby.images.registry.upload import Sent, push_blob
from tests.integration.registry.test_misbehaving import Registry, serving

DATA = bytes(range(251)) * 1000
CONFIG = RegistryConfig(certs_dir="/nonexistent", retry_delay_s=0.001, max_download_attempts=3)


class Small(Registry):
    """Takes no more than `limit` bytes at once: says so, or ends the connection."""

    def __init__(self, limit: int, *, rude: bool = False, parts: bool = True) -> None:
        super().__init__()
        self.limit, self.rude, self.parts = limit, rude, parts
        self.uploads: dict[str, bytearray] = {}
        self.blobs: dict[str, bytes] = {}
        self.blob = self.upload

    async def upload(self, request: web.Request) -> web.StreamResponse:
        name = request.path.rpartition("/")[2]
        if request.method == "HEAD":
            return web.Response(status=200 if name in self.blobs else 404)
        if request.method == "POST":
            name = f"u{len(self.uploads)}"
            self.uploads[name] = bytearray()
            return web.Response(status=202, headers={"Location": f"/v2/a/blobs/uploads/{name}?step=0"})
        if (request.content_length or 0) > self.limit or (request.method == "PATCH" and not self.parts):
            if self.rude:
                assert request.transport is not None
                request.transport.close()
            return web.Response(status=413 if self.parts else 405)
        data, known = await request.read(), self.uploads[name]
        if request.method == "PATCH":
            assert request.headers["Content-Range"] == f"{len(known)}-{len(known) + len(data) - 1}"
            # Who sends goes on where it is told to.
            assert request.query["step"] == str(len(known))
        known += data
        if request.method == "PATCH":
            place = f"/v2/a/blobs/uploads/{name}?step={len(known)}"
            return web.Response(status=202, headers={"Location": place})
        assert digest_of(bytes(known)) == request.query["digest"]
        self.blobs[request.query["digest"]] = bytes(known)
        return web.Response(status=201)


async def chunks() -> AsyncIterator[bytes]:
    for begin in range(0, len(DATA), 7000):
        yield DATA[begin : begin + 7000]


async def push(registry: Registry) -> tuple[Sent, str]:
    async with serving(registry), Registries(lambda: CONFIG) as registries:
        repository = registries.repository(parse_reference(f"{registry.address}/a:1"), None, push=True)
        return await push_blob(repository, Descriptor("", digest_of(DATA), len(DATA)), chunks)


@pytest.mark.parametrize("rude", [False, True], ids=["told", "cut off"])
async def test_a_blob_that_is_too_large_is_sent_in_parts(monkeypatch: pytest.MonkeyPatch, rude: bool) -> None:
    monkeypatch.setattr(upload, "_PART", 100_000)
    registry = Small(100_000, rude=rude)
    assert await push(registry) == (Sent.PUSHED, "")
    assert registry.blobs == {digest_of(DATA): DATA}
    assert [method for method, *_ in registry.seen].count("PATCH") == 3


async def test_a_registry_that_takes_no_parts_either_is_told_of() -> None:
    with pytest.raises(MobyError, match="405"):
        await push(Small(1000, parts=False))
