"""Layers to chains of snapshots."""

from __future__ import annotations

import asyncio

import pytest

from moby.core.descriptor import OCI_LAYER, Descriptor
from moby.core.digest import chain_id
from moby.core.errors import DataLoss, InvalidParameter
from moby.images.unpack import Chains, Locks
from moby.testing.image_stores import chunks, digest_of, layer
from moby.testing.images import MemoryImages


async def two_layers(store: MemoryImages) -> tuple[list[Descriptor], list[str]]:
    layers = []
    for number in range(2):
        info = await store.content.write(str(number), chunks(layer(a=str(number))))
        layers.append(Descriptor(OCI_LAYER, info.digest, info.size))
    return layers, [each.digest for each in layers]


async def test_a_chain_is_unpacked_once_however_many_ask() -> None:
    store = MemoryImages()
    async with store.leases.hold():
        layers, diff_ids = await two_layers(store)
        chains = Chains(store)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(chains.unpack(layers, diff_ids)) for _ in range(3)]
        assert {task.result() for task in tasks} == {chain_id(diff_ids)}
        assert set(store.snapshots) == {diff_ids[0], chain_id(diff_ids)}
        labels = (await store.content.info(layers[0].digest)).labels
        assert labels["containerd.io/uncompressed"] == diff_ids[0]


async def test_only_what_is_there_is_held_on_to(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryImages()
    held: list[str] = []

    async def hold_on(kind: str, name: str) -> None:
        held.append(f"{kind} {name}")

    monkeypatch.setattr(store.leases, "hold_on", hold_on)
    async with store.leases.hold():
        layers, diff_ids = await two_layers(store)
        await Chains(store).unpack(layers, diff_ids)
        assert held == []
        await Chains(store).unpack(layers, diff_ids)
    kept = f"snapshots/{store.snapshotter.name}"
    assert sorted(held) == sorted(f"{kept} {name}" for name in (diff_ids[0], chain_id(diff_ids)))


async def test_wrong_diff_id_leaves_no_snapshot() -> None:
    store = MemoryImages()
    async with store.leases.hold():
        layers, diff_ids = await two_layers(store)
        with pytest.raises(DataLoss, match="wrong diff id"):
            await Chains(store).unpack(layers, [diff_ids[0], digest_of(b"other")])
        assert set(store.snapshots) == {diff_ids[0]}
        with pytest.raises(InvalidParameter, match="mismatched image rootfs"):
            await Chains(store).unpack(layers, diff_ids[:1])


async def test_locks_do_not_pile_up() -> None:
    locks = Locks()
    async with locks.hold("a"), locks.hold("b"):
        assert len(locks._locks) == 2
    assert not locks._locks
