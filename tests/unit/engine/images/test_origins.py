"""Where images came from, and what is stated about them."""

from __future__ import annotations

import json

import pytest

from moby.core.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from moby.core.errors import NotFound, System
from moby.core.images import StoredImage
from moby.core.platform import Platform
from moby.core.reference import parse_reference
from moby.engine.images.origins import BUILD, Attestations, identity_of, parent_of
from moby.images.contents import Contents
from moby.images.sources import remember_source
from moby.testing.image_stores import chunks, layer
from moby.testing.images import MemoryImages

AMD64, ARM64 = Platform("amd64", "linux"), Platform("arm64", "linux")


async def write(store: MemoryImages, media_type: str, data: bytes, **fields: object) -> dict[str, object]:
    info = await store.content.write("w", chunks(data))
    return {"mediaType": media_type, "digest": info.digest, "size": info.size, **fields}


async def manifest(
    store: MemoryImages, config: bytes, layers: list[dict[str, object]], **fields: object
) -> dict[str, object]:
    described = await write(store, OCI_CONFIG, config)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": layers}
    return await write(store, OCI_MANIFEST, json.dumps(body).encode(), **fields)


async def attested(store: MemoryImages, statement: bytes = b'{"a": [1]}') -> Descriptor:
    """An index with an image, and two statements about it."""
    plain = await write(store, OCI_LAYER, layer(a="1"))
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [plain["digest"]]}}
    platform = {"architecture": "amd64", "os": "linux"}
    image = await manifest(store, json.dumps(config).encode(), [plain], platform=platform)
    said = [
        await write(
            store,
            "application/vnd.in-toto+json",
            statement + kind,
            annotations={"in-toto.io/predicate-type": kind.decode().strip()},
        )
        for kind in (b" ", b"\n")
    ]
    said[0]["annotations"], said[1]["annotations"] = (
        {"in-toto.io/predicate-type": kind} for kind in ("one", "two")
    )
    about = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image["digest"],
    }
    unknown = {"architecture": "unknown", "os": "unknown"}
    statements = await manifest(store, b"{}", said, annotations=about, platform=unknown)
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [image, statements]}
    info = await store.content.write("i", chunks(json.dumps(index).encode()))
    return Descriptor(OCI_INDEX, info.digest, info.size)


async def test_statements_are_read_as_far_as_they_are_asked_for() -> None:
    store = MemoryImages()
    async with store.leases.hold():
        index = await attested(store)
        reader = Attestations(store, Contents(store))
        found = await reader.read(index, AMD64, [], statements=False)
        assert [(each.predicate_type, each.statement) for each in found] == [("one", None), ("two", None)]
        (second,) = await reader.read(index, AMD64, ["two", "three"], statements=True)
        assert second.statement is not None
        assert json.loads(bytes(second.statement)) == {"a": [1]}
        assert await reader.read(index, AMD64, ["three"], statements=True) == []
        with pytest.raises(NotFound, match="no manifest found for platform linux/arm64"):
            await reader.read(index, ARM64, [], statements=False)
        assert await reader.read(Descriptor(OCI_MANIFEST, index.digest, 1), AMD64, [], statements=False) == []


async def test_statements_that_are_missing_or_none() -> None:
    store = MemoryImages()
    async with store.leases.hold():
        index = await attested(store, b"no json")
        reader = Attestations(store, Contents(store))
        found = await reader.read(index, AMD64, [], statements=False)
        with pytest.raises(System, match="failed to read attestation statement"):
            await reader.read(index, AMD64, [], statements=True)
        assert found[0].descriptor is not None
        await store.content.delete(found[0].descriptor.digest)
        with pytest.raises(NotFound, match="is not available locally"):
            await reader.read(index, AMD64, ["one"], statements=True)


async def test_repositories_are_remembered_side_by_side() -> None:
    store = MemoryImages()
    async with store.leases.hold():
        digest = (await store.content.write("w", chunks(b"x"))).digest
        assert await identity_of(store, digest) is None
        for name in ("ghcr.io/b/c:1", "ghcr.io/a:2", "busybox", "localhost:5000/x", "ghcr.io/a:3"):
            await remember_source(store, digest, parse_reference(name))
        identity = await identity_of(store, digest)
        assert identity is not None
        assert [each.repository for each in identity.pull] == [
            "docker.io/library/busybox", "ghcr.io/a", "ghcr.io/b/c", "localhost/x",
        ]  # fmt: skip
        await remember_source(store, "sha256:" + "0" * 64, parse_reference("a"))
        assert await identity_of(store, "sha256:" + "0" * 64) is None


async def test_builds_are_told_by_their_names() -> None:
    store = MemoryImages()
    async with store.leases.hold():
        digest = (await store.content.write("w", chunks(b"x"))).digest
        labels = {
            f"{BUILD}z": "{}",
            f"{BUILD}a": '{"createdAt":"2026-02-03T04:05:06.7Z"}',
            f"{BUILD}bad": "{no json",
            "other": "{}",
        }
        await store.content.label(digest, labels)
        identity = await identity_of(store, digest)
    assert identity is not None
    assert [(each.ref, each.created_at) for each in identity.build] == [
        ("a", "2026-02-03T04:05:06.700000Z"), ("z", "0001-01-01T00:00:00Z"),
    ]  # fmt: skip
    assert identity.pull == []


def test_parents_are_told_of_committed_images() -> None:
    target = Descriptor(OCI_MANIFEST, "sha256:" + "1" * 64, 1)
    plain, committed = (
        StoredImage("a", target),
        StoredImage("b", target, {"org.mobyproject.image.parent": "sha256:2"}),
    )
    assert (parent_of([plain]), parent_of([plain, committed])) == ("", "sha256:2")
