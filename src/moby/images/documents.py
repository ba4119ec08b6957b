"""This file is about the JSON documents that images consist of: index, manifest and configuration."""

from __future__ import annotations

from typing import Any

import msgspec

from moby.core.codec import decode
from moby.core.descriptor import (
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
)
from moby.core.digest import chain_id, is_digest
from moby.core.errors import InvalidParameter, MobyError
from moby.core.platform import Platform
from moby.core.types.images import ImageConfig

MANIFEST_LIMIT = 4 << 20
CONFIG_LIMIT = 8 << 20
INDEX_DEPTH = 4
LAYERS_LIMIT = 512

LAYER_TYPES = frozenset({OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, DOCKER_LAYER, DOCKER_LAYER_GZIP})
ATTESTATION = "attestation-manifest"
REFERENCE_TYPE = "vnd.docker.reference.type"
REFERENCE_DIGEST = "vnd.docker.reference.digest"
IMAGE_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"


class Document(msgspec.Struct, rename="camel", omit_defaults=True):
    """A manifest or an index, whichever it turns out to be."""

    schema_version: int = msgspec.field(default_factory=lambda: 2)
    media_type: str = ""
    config: Descriptor | None = None
    layers: list[Descriptor] = msgspec.field(default_factory=list)
    manifests: list[Descriptor] = msgspec.field(default_factory=list)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    artifact_type: str = ""
    subject: Descriptor | None = None

    @property
    def is_index(self) -> bool:
        """Does it point to manifests?"""
        return self.config is None

    def children(self) -> list[Descriptor]:
        """What it points to, in the order in which it is wanted."""
        if self.config is None:
            return list(self.manifests)
        return [self.config, *self.layers]


class _Shape(msgspec.Struct, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    config: Any = None
    layers: Any = None
    manifests: Any = None
    fs_layers: Any = None


class RootFSDocument(msgspec.Struct, omit_defaults=True):
    """Layers, by diff ID."""

    type: str = msgspec.field(default_factory=lambda: "layers")
    diff_ids: list[str] = msgspec.field(default_factory=lambda: [])  # noqa: PIE807 - written even if empty


class HistoryDocument(msgspec.Struct, omit_defaults=True):
    """A step of an image's making."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageDocument(msgspec.Struct, omit_defaults=True):
    """An image's configuration (OCI image spec, config.md)."""

    created: str = ""
    author: str = ""
    architecture: str = msgspec.field(default_factory=str)
    os: str = msgspec.field(default_factory=str)
    variant: str = ""
    os_version: str = msgspec.field(name="os.version", default="")
    os_features: list[str] = msgspec.field(name="os.features", default_factory=list)
    config: ImageConfig = msgspec.field(default_factory=ImageConfig)
    rootfs: RootFSDocument = msgspec.field(default_factory=RootFSDocument)
    history: list[HistoryDocument] = msgspec.field(default_factory=list)

    @property
    def platform(self) -> Platform:
        """What it runs on."""
        return Platform(self.architecture, self.os, self.os_version, tuple(self.os_features), self.variant)

    @property
    def chain(self) -> str:
        """The chain ID of all its layers; empty without any."""
        return chain_id(self.rootfs.diff_ids) if self.rootfs.diff_ids else ""

    def chains(self) -> list[str]:
        """The chain ID of each layer on those before it."""
        return [chain_id(self.rootfs.diff_ids[: i + 1]) for i in range(len(self.rootfs.diff_ids))]


def read_document(data: bytes, media_type: str) -> Document:
    """A manifest or an index from its JSON. Raises InvalidParameter if it is neither, or both."""
    if len(data) > MANIFEST_LIMIT:
        raise InvalidParameter(f"manifest is larger than {MANIFEST_LIMIT} bytes")
    try:
        shape = msgspec.json.decode(data, type=_Shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid manifest: {error}") from error
    if shape.fs_layers is not None or shape.schema_version == 1:
        raise InvalidParameter(
            "support for Docker Image Format v1 and Docker Image manifest version 2, schema 1 "
            "has been removed"
        )
    if _present(shape.manifests) and (_present(shape.layers) or _present(shape.config)):
        raise InvalidParameter("invalid manifest: it has the fields of a manifest and those of an index")
    if shape.media_type and media_type and shape.media_type != media_type:
        raise InvalidParameter(
            f"invalid manifest: its media type {shape.media_type!r} is not {media_type!r} as announced"
        )
    document = decode(data, Document)
    kind = media_type or document.media_type
    wrong = (kind in INDEX_TYPES and not document.is_index) or (kind in MANIFEST_TYPES and document.is_index)
    if wrong or (kind and kind not in INDEX_TYPES | MANIFEST_TYPES):
        raise InvalidParameter(f"invalid manifest: not what its media type {kind!r} says")
    if not document.media_type:
        document.media_type = kind or (OCI_INDEX if document.is_index else OCI_MANIFEST)
    for child in document.children():
        if not is_digest(child.digest) or child.size < 0:
            raise InvalidParameter(f"invalid manifest: bad descriptor {child.digest!r}")
    if len(document.layers) > LAYERS_LIMIT:
        raise InvalidParameter(f"invalid manifest: more than {LAYERS_LIMIT} layers")
    return document


def _present(value: Any) -> bool:
    return value not in (None, [], {})


def read_image(data: bytes) -> ImageDocument:
    """An image's configuration from its JSON. Raises InvalidParameter."""
    try:
        image = decode(data, ImageDocument)
    except MobyError as error:
        raise InvalidParameter(f"invalid image configuration: {error.message}") from error
    for diff_id in image.rootfs.diff_ids:
        if not is_digest(diff_id):
            raise InvalidParameter(f"invalid image configuration: bad diff ID {diff_id!r}")
    return image


def encode_document(document: Any) -> bytes:
    """As JSON, as it is stored."""
    return msgspec.json.encode(document)


def gc_labels(document: Document) -> dict[str, str]:
    """The labels by which containerd's collector finds what a document points to."""
    if document.config is None:
        return {f"containerd.io/gc.ref.content.m.{i}": m.digest for i, m in enumerate(document.manifests)}
    labels = {f"containerd.io/gc.ref.content.l.{i}": layer.digest for i, layer in enumerate(document.layers)}
    return {"containerd.io/gc.ref.content.config": document.config.digest, **labels}


def is_attestation(descriptor: Descriptor) -> bool:
    """Does it say something about an image instead of being one?"""
    return descriptor.annotations.get(REFERENCE_TYPE) == ATTESTATION


def is_image_manifest(document: Document) -> bool:
    """Has it layers of a file system (or none at all) and a configuration?"""
    return document.config is not None and all(layer.media_type in LAYER_TYPES for layer in document.layers)


def choose(manifests: list[Descriptor], wanted: Platform) -> Descriptor | None:
    """The manifest of an index that fits `wanted` best; one that says no platform fits as a last resort."""
    candidates = [
        m for m in manifests if not is_attestation(m) and m.media_type in MANIFEST_TYPES | INDEX_TYPES
    ]
    fitting = [m for m in candidates if m.platform is not None and m.platform.fits(wanted)]
    if fitting:
        return max(fitting, key=lambda m: _closeness(m.platform, wanted))
    return next((m for m in candidates if m.platform is None or not m.platform.os), None)


def _closeness(offered: Platform | None, wanted: Platform) -> tuple[bool, str]:
    assert offered is not None
    return offered.variant == wanted.variant, offered.variant


__all__ = [
    "DOCKER_LIST",
    "DOCKER_MANIFEST",
    "Document",
    "HistoryDocument",
    "ImageDocument",
    "RootFSDocument",
    "choose",
    "encode_document",
    "gc_labels",
    "is_attestation",
    "is_image_manifest",
    "read_document",
    "read_image",
]
