"""This file is about where images came from, and what others state about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from moby.core.descriptor import OCI_INDEX, Descriptor
from moby.core.errors import NotFound, System
from moby.core.images import ImageStore, StoredImage
from moby.core.platform import Platform
from moby.core.types.images import AttestationStatement, BuildIdentity, Identity, PullIdentity
from moby.images.contents import Contents
from moby.images.documents import REFERENCE_DIGEST, is_attestation
from moby.images.sources import repositories

PARENT = "org.mobyproject.image.parent"
# Whoever builds an image labels what comes out: the build's name after the prefix, and its time.
BUILD = "moby/build.ref."
_PREDICATE = "in-toto.io/predicate-type"
_STATEMENT_LIMIT = 16 << 20


async def identity_of(store: ImageStore, digest: str) -> Identity | None:
    """What the engine has seen of an image's origin; None if nothing."""
    try:
        labels = (await store.content.info(digest)).labels
    except NotFound:
        return None
    pull = [PullIdentity(repository=name) for name in repositories(labels)]
    build = _builds(labels)
    return Identity(build=build, pull=pull) if build or pull else None


class _Build(msgspec.Struct, rename="camel"):
    created_at: datetime | None = None


def _builds(labels: Mapping[str, str]) -> list[BuildIdentity]:
    found = []
    for key in sorted(key for key in labels if key.startswith(BUILD)):
        try:
            created = msgspec.json.decode(labels[key], type=_Build).created_at
        except msgspec.MsgspecError:
            continue  # what is no label of a builder says nothing
        build = BuildIdentity(ref=key.removeprefix(BUILD))
        if created is not None:
            build.created_at = created.isoformat().replace("+00:00", "Z")
        found.append(build)
    return found


def parent_of(images: Sequence[StoredImage]) -> str:
    """The image that one was committed from; empty if it was not."""
    return next((image.labels[PARENT] for image in images if image.labels.get(PARENT)), "")


class Attestations:
    """Reads what an image's index has beside the image for a platform."""

    def __init__(self, store: ImageStore, contents: Contents) -> None:
        self._store = store
        self._contents = contents

    async def read(
        self, target: Descriptor, platform: Platform, kinds: Sequence[str], *, statements: bool
    ) -> list[AttestationStatement]:
        """Statements of some predicate types, or of all.

        Raises NotFound if there is no image for the platform, or a statement that was asked for is not here.
        """
        if target.media_type != OCI_INDEX:
            return []
        manifests = await self._contents.manifests(target)
        best = await self._contents.best(target, platform)
        if best is None:
            raise NotFound(f"no manifest found for platform {platform}")
        found = next(
            (
                each
                for each in manifests
                if is_attestation(each) and each.annotations.get(REFERENCE_DIGEST) == best.digest
            ),
            None,
        )
        if found is None or not await self._contents.present(found.digest):
            return []
        layers = (await self._contents.document(found)).layers
        return [
            AttestationStatement(
                descriptor=layer,
                predicate_type=kind,
                statement=await self._statement(layer) if statements else None,
            )
            for layer in layers
            if (kind := layer.annotations.get(_PREDICATE, "")) and (not kinds or kind in kinds)
        ]

    async def _statement(self, layer: Descriptor) -> msgspec.Raw:
        try:
            data = await self._store.content.read(layer.digest, limit=_STATEMENT_LIMIT)
        except NotFound as error:
            raise NotFound(
                f"attestation statement {layer.digest} is not available locally: {error.message}"
            ) from error
        try:
            msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise System(f"failed to read attestation statement {layer.digest}: {error}") from error
        return msgspec.Raw(data)
