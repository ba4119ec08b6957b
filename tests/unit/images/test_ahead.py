"""Layers that are unpacked before anybody knows where they belong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from moby.core.descriptor import Descriptor
from moby.core.images import ImageStore
from moby.images.ahead import Ahead, looks_like_layer
from moby.images.extraction import Staged, Stager
from moby.images.extractors import Extractors


class Nowhere:
    """Begins no snapshots, and says for what it would have."""

    def __init__(self, *, able: bool = True) -> None:
        self.able = able
        self.extractors = Extractors()
        self.sizes: list[int] = []

    @asynccontextmanager
    async def stage(self, layer: Descriptor, chain: str, parent: str | None) -> AsyncIterator[Staged | None]:
        self.sizes.append(layer.size)
        yield None


@pytest.mark.parametrize(
    ("size", "while_it_comes"),
    [(0, True), (1 << 20, True), (4 << 20, False), (63 << 20, False), (1 << 30, True)],
)
async def test_what_is_soon_read_is_unpacked_afterwards(size: int, while_it_comes: bool) -> None:
    stager = Nowhere()
    async with Ahead(cast("ImageStore", None), cast("Stager", stager)) as ahead:
        coming = ahead.coming(size)
        assert (coming is not None) == while_it_comes
        if coming is not None:
            await coming.feed(bytes(10))
            assert not coming.end(None)
            assert stager.sizes == [size]
        layer = Descriptor("", f"sha256:{size:064x}", size)
        ahead.begin(layer)
        assert await ahead.take(layer.digest) is None  # unpacked, it is nowhere
        assert stager.sizes[-1] == size


async def test_where_nothing_can_be_unpacked() -> None:
    async with Ahead(cast("ImageStore", None), cast("Stager", Nowhere(able=False))) as ahead:
        assert ahead.coming(1 << 10) is None
        ahead.begin(Descriptor("", "sha256:1", 1))
        assert await ahead.take("sha256:1") is None


def test_layers_are_known_by_how_they_begin() -> None:
    assert looks_like_layer(b"\x1f\x8b\x08" + bytes(300))
    assert looks_like_layer(bytes(257) + b"ustar\x0000")
    assert not looks_like_layer(b"{}" + bytes(300))
