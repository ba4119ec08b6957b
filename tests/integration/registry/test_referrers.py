"""Signatures of statements about images: fetched, kept, saved, loaded, and gone with their image."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from moby.core.descriptor import OCI_INDEX
from moby.core.errors import InvalidParameter
from moby.engine.events import Events
from moby.engine.images.service import ImageService
from moby.engine.images.transfers import ImageTransfers
from moby.images.contents import Contents
from moby.images.referrers import kept_referrers
from moby.images.registry.client import Registries
from moby.images.stores.containerd import ContainerdImages
from tests.integration.registry.conftest import Made, digest
from tests.integration.registry.test_misbehaving import (
    CONFIG,
    MANIFEST,
    Registry,
    described,
    serving,
)
from tests.integration.registry.test_transfers import stream

pytestmark = pytest.mark.containerd

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MADE = Made({"a": b"1"})


def artifact(payload: bytes, kind: str, artifact_type: str = "") -> bytes:
    empty = described(b"{}", "application/vnd.oci.empty.v1+json")
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": empty,
        "layers": [described(payload, kind)],
    }
    return json.dumps(document | ({"artifactType": artifact_type} if artifact_type else {})).encode()


STATED, SIGNED, OTHER = b'{"_type":"statement"}', b'{"signature":"of it"}', b"something else"
STATEMENT = artifact(STATED, "application/vnd.in-toto+json")
SIGNATURE, UNKNOWN = artifact(SIGNED, BUNDLE, BUNDLE), artifact(OTHER, "text/plain", "text/plain")
INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            described(MADE.manifest, MANIFEST, platform={"os": "linux", "architecture": "amd64"}),
            described(
                STATEMENT,
                MANIFEST,
                platform={"os": "unknown", "architecture": "unknown"},
                annotations={
                    "vnd.docker.reference.type": "attestation-manifest",
                    "vnd.docker.reference.digest": MADE.digest,
                },
            ),
        ],
    }
).encode()
REFERRERS = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            described(SIGNATURE, MANIFEST, artifactType=BUNDLE),
            described(UNKNOWN, MANIFEST, artifactType="text/plain"),
        ],
    }
).encode()
BLOBS = {
    digest(data): data
    for data in (STATEMENT, SIGNATURE, UNKNOWN, STATED, SIGNED, OTHER, b"{}", MADE.manifest)
} | MADE.blobs


@pytest.fixture(params=["asked for", "under a tag"])
async def registry(request: pytest.FixtureRequest) -> AsyncIterator[Registry]:
    """One that has an image with a signed statement, and says so in one of two ways."""
    found = Registry()

    async def manifest(asked: web.Request) -> web.StreamResponse:
        name = asked.path.rpartition("/")[2]
        if name == "1":
            return web.Response(body=INDEX, content_type=OCI_INDEX)
        if name == digest(STATEMENT).replace(":", "-") and request.param == "under a tag":
            return web.Response(body=REFERRERS, content_type=OCI_INDEX)
        return (
            web.Response(body=BLOBS[name], content_type=MANIFEST)
            if name in BLOBS
            else web.Response(status=404)
        )

    async def blob(asked: web.Request) -> web.StreamResponse:
        return web.Response(body=BLOBS[asked.path.rpartition("/")[2]])

    async def other(asked: web.Request) -> web.StreamResponse:
        if asked.path.endswith(f"/referrers/{digest(STATEMENT)}") and request.param == "asked for":
            return web.Response(body=REFERRERS, content_type=OCI_INDEX)
        return web.Response(status=404)

    found.manifest, found.blob, found.other = manifest, blob, other
    async with serving(found):
        yield found


async def here(store: ContainerdImages) -> set[str]:
    return {info.digest async for info in store.content.walk()}


async def test_signatures_live_as_long_as_what_they_sign(registry: Registry, store: ContainerdImages) -> None:
    images = ImageService(store, Events(), list)
    name = f"{registry.address}/a/b:1"
    async with (
        Registries(lambda: CONFIG) as registries,
        ImageTransfers(store, registries, images) as transfers,
    ):
        _ = [message async for message in transfers.pull(name, "")]
        assert {digest(SIGNATURE), digest(SIGNED)} <= await here(store)
        assert digest(UNKNOWN) not in await here(store)
        (kept,) = await kept_referrers(store, Contents(store), digest(STATEMENT))
        assert (kept.digest, kept.artifact_type) == (digest(SIGNATURE), BUNDLE)
        archive = b"".join([chunk async for chunk in transfers.save([name])])
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            assert f"blobs/sha256/{digest(SIGNED)[7:]}" in tar.getnames()
            index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
        subjects = [
            each.get("annotations", {}).get("io.containerd.manifest.subject") for each in index["manifests"]
        ]
        assert subjects == [None, digest(STATEMENT)]
        await images.remove(name)
        assert not await here(store)
        loaded = [message.stream async for message in transfers.load(stream(archive))]
        assert loaded == [f"Loaded image: {name}\n"]
        assert {digest(SIGNATURE), digest(SIGNED)} <= await here(store)
        await images.remove(name)
        assert not await here(store)


async def test_a_registry_that_fails_to_say_costs_no_image(
    registry: Registry, store: ContainerdImages
) -> None:
    async def fails(_: web.Request) -> web.StreamResponse:
        return web.Response(status=400)

    registry.other = fails
    images = ImageService(store, Events(), list)
    async with (
        Registries(lambda: CONFIG) as registries,
        ImageTransfers(store, registries, images) as transfers,
    ):
        messages = [message async for message in transfers.pull(f"{registry.address}/a/b:1", "")]
    assert messages[-1].status.startswith("Status: Downloaded newer image")
    assert digest(STATEMENT) in await here(store)


async def test_a_configuration_without_end_is_not_read(registry: Registry, store: ContainerdImages) -> None:
    """What a registry tells of an image is read only so far."""
    manifest = json.loads(MADE.manifest)
    manifest["config"]["size"] = 1 << 40

    async def large(_: web.Request) -> web.StreamResponse:
        return web.Response(body=json.dumps(manifest).encode(), content_type=MANIFEST)

    registry.manifest = large
    images = ImageService(store, Events(), list)
    async with (
        Registries(lambda: CONFIG) as registries,
        ImageTransfers(store, registries, images) as transfers,
    ):
        with pytest.raises(InvalidParameter, match="image configuration is larger than"):
            await transfers.distribution(f"{registry.address}/a/b:1")
