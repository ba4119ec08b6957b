"""Pulling from and pushing to a real registry, into a real containerd."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from moby.core.errors import NotFound
from moby.core.images import StoredImage
from moby.core.reference import parse_reference
from moby.core.types.jsonstream import JSONMessage
from moby.images.jobs import Report
from moby.images.pull import Puller, PullRequest
from moby.images.push import Pusher, PushRequest
from moby.images.registry.client import Registries
from moby.images.registry.settings import RegistryConfig
from moby.images.stores.containerd import ContainerdImages
from tests.integration.registry.conftest import Made, upload

pytestmark = [pytest.mark.containerd, pytest.mark.registry]

CONFIG = RegistryConfig(certs_dir="/nonexistent", retry_delay_s=0.01)


def said(messages: list[JSONMessage]) -> list[str]:
    return [m.status for m in messages if m.status != "Downloading" and m.status != "Extracting"]


async def test_pulled_image_is_unpacked_and_named(
    start_registry: Callable[..., str], store: ContainerdImages
) -> None:
    host = start_registry()
    made = Made({"a": os.urandom(300_000)}, {"b": b"2"}, {"c": b"3"})
    upload(f"http://{host}", "team/app", "1", made)
    messages: list[JSONMessage] = []
    async with Registries(lambda: CONFIG) as registries:
        puller = Puller(store, registries)
        request = PullRequest(parse_reference(f"{host}/team/app:1"))
        image = await puller.pull(request, Report(messages.append))
        assert image.target.digest == made.digest
        assert (await store.get(f"{host}/team/app:1")).target.digest == made.digest
        words = said(messages)
        assert words[0] == "Pulling from team/app"
        assert messages[0].id == "1"
        for step in ("Pulling fs layer", "Download complete", "Pull complete"):
            assert words.count(step) == 3
        assert words[-2:] == [
            f"Digest: {made.digest}",
            f"Status: Downloaded newer image for {host}/team/app:1",
        ]
        snapshots = [info async for info in store.snapshotter.walk()]
        assert len(snapshots) == 3
        messages.clear()
        await puller.pull(request, Report(messages.append))
        assert said(messages)[-1] == f"Status: Image is up to date for {host}/team/app:1"
        assert "Pull complete" not in said(messages)


async def test_unknown_image_is_not_found(
    start_registry: Callable[..., str], store: ContainerdImages
) -> None:
    host = start_registry()
    async with Registries(lambda: CONFIG) as registries:
        with pytest.raises(
            NotFound, match=f'failed to resolve reference "{host}/no/app:1": {host}/no/app:1: not found'
        ):
            await Puller(store, registries).pull(
                PullRequest(parse_reference(f"{host}/no/app:1")), Report(print)
            )


async def test_pushed_image_can_be_pulled(
    start_registry: Callable[..., str], store: ContainerdImages
) -> None:
    host = start_registry()
    made = Made({"a": os.urandom(3_000_000)}, {"b": b"2"})
    upload(f"http://{host}", "team/app", "1", made)
    async with Registries(lambda: CONFIG) as registries:
        puller, pusher = Puller(store, registries), Pusher(store, registries)
        image = await puller.pull(PullRequest(parse_reference(f"{host}/team/app:1")), Report(lambda _: None))
        other = start_registry()
        for name, expected in (
            (f"{other}/x/y:2", "Pushed"),
            (f"{other}/x/y:2", "Layer already exists"),
            (f"{other}/z:3", "Mounted from x/y"),
        ):
            await store.put(StoredImage(name, image.target))
            messages: list[JSONMessage] = []
            await pusher.push(PushRequest(parse_reference(name)), Report(messages.append))
            assert said(messages).count(expected) == 2, said(messages)
            tag = name.rpartition(":")[2]
            assert messages[-1].status == f"{tag}: digest: {made.digest} size: {len(made.manifest)}"
        await store.delete(f"{host}/team/app:1")
        found = await puller.pull(PullRequest(parse_reference(f"{other}/z:3")), Report(lambda _: None))
        assert found.target.digest == made.digest
