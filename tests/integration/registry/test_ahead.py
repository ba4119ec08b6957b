"""Layers that are unpacked before their place is known."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest

from moby.core.descriptor import OCI_LAYER, Descriptor
from moby.core.digest import chain_id
from moby.core.errors import InvalidParameter
from moby.core.filters import Filters
from moby.engine.events import Events
from moby.engine.images.service import ImageService
from moby.engine.images.transfers import ImageTransfers
from moby.images.extraction import Staged
from moby.images.registry.client import Registries
from moby.images.registry.settings import RegistryConfig
from moby.images.stores.containerd import ContainerdImages
from moby.images.unpack import Chains, DifferUnpacker
from moby.testing.image_stores import chunks, digest_of
from tests.integration.registry.conftest import tar_of
from tests.integration.registry.test_extraction import (
    TARS,
    TOP,
    directory_of,
    entry,
    layers_of,
    listing,
    snapshots,
    tar,
)
from tests.integration.registry.test_transfers import stream

pytestmark = pytest.mark.containerd


async def unpacked(
    store: ContainerdImages, layers: list[Descriptor], diff_ids: list[str]
) -> list[dict[str, object]]:
    """What is in each layer's directory after they were unpacked aside, the last first."""
    chains = Chains(store)
    async with chains.ahead() as ahead:
        for layer in reversed(layers):
            ahead.begin(layer)
        await chains.unpack(layers, diff_ids, ahead=ahead)
    every = [chain_id(diff_ids[: number + 1]) for number in range(len(diff_ids))]
    assert not [name for name in await snapshots(store) if name.startswith("extract-")]
    return [listing(await directory_of(store, chain)) for chain in every]


@pytest.mark.parametrize("tars", [TARS, (TOP, *TARS)], ids=["as they are", "with whiteouts at the bottom"])
async def test_they_are_what_they_are_otherwise(store: ContainerdImages, tars: tuple[bytes, ...]) -> None:
    async with store.leases.hold():
        layers, diff_ids = await layers_of(store, tars=tars)
        expected, parent = [], ""
        for layer, diff_id in zip(layers, diff_ids, strict=True):
            chain = f"{chain_id([parent.removesuffix('-d'), diff_id]) if parent else diff_id}-d"
            await DifferUnpacker(store).unpack(layer, diff_id, chain, parent)
            expected.append(listing(await directory_of(store, chain)))
            parent = chain
        assert await unpacked(store, layers, diff_ids) == expected


async def test_what_nobody_takes_is_removed(store: ContainerdImages) -> None:
    async with store.leases.hold():
        layers, diff_ids = await layers_of(store)
        chains = Chains(store)
        async with chains.ahead() as ahead:
            for layer in layers:
                ahead.begin(layer)
                ahead.begin(layer)
            await chains.unpack(layers[:1], diff_ids[:1], ahead=ahead)
            assert await ahead.take("sha256:none") is None
        assert await snapshots(store) == {diff_ids[0]}
        with suppress(ZeroDivisionError):
            async with chains.ahead() as ahead:
                ahead.begin(layers[1])
                raise ZeroDivisionError
        assert await snapshots(store) == {diff_ids[0]}


async def test_what_cannot_be_unpacked_is_told_when_it_is_wanted(store: ContainerdImages) -> None:
    bad = tar(entry("../x", b"x"))
    async with store.leases.hold():
        info = await store.content.write("bad", chunks(bad))
        layer = Descriptor(OCI_LAYER, info.digest, info.size)
        chains = Chains(store)
        async with chains.ahead() as ahead:
            ahead.begin(layer)
            with pytest.raises(InvalidParameter, match="is outside of the layer"):
                await chains.unpack([layer], [info.digest], ahead=ahead)
        assert not await snapshots(store)


@pytest.mark.parametrize("form", ["old", "new"])
async def test_a_load_unpacks_while_it_reads(
    store: ContainerdImages, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """What an archive brings that is here already is not unpacked again, if it is named by its digest."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(data) for data in TARS]},
        }
    ).encode()
    names = [f"{number}/layer.tar" for number in range(len(TARS))]
    if form == "new":
        names = [f"blobs/{digest_of(data).replace(':', '/')}" for data in TARS]
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["ahead:1"], "Layers": names}]).encode()
    archive = tar_of(
        {
            **dict(zip(names, TARS, strict=True)),
            "x/layer.tar": tar(entry("x")),
            "c.json": config,
            "manifest.json": manifest,
        }
    )
    unpacked = []
    images = ImageService(store, Events(), list)
    async with (
        Registries(RegistryConfig) as registries,
        ImageTransfers(store, registries, images) as transfers,
    ):
        stage = transfers._chains._stager.stage

        def told(
            layer: Descriptor, chain: str, parent: str | None
        ) -> AbstractAsyncContextManager[Staged | None]:
            unpacked.append(chain)
            return stage(layer, chain, parent)

        monkeypatch.setattr(transfers._chains._stager, "stage", told)
        for _ in range(2):
            assert [m.stream async for m in transfers.load(stream(archive))] == ["Loaded image: ahead:1\n"]
            assert {name for name in await snapshots(store) if name.startswith("sha256:")} == {
                chain_id([digest_of(data) for data in TARS[: number + 1]]) for number in range(len(TARS))
            }
        # Four aside, of which one belongs to nothing: it is read again.
        assert unpacked == ["ahead"] * (5 if form == "new" else 8)
        assert Path(
            await directory_of(store, chain_id([digest_of(data) for data in TARS])), "fresh/x"
        ).exists()
        (summary,) = await images.list(filters=Filters())
        assert summary.repo_tags == ["ahead:1"]
