"""This file is about images in the Engine API."""

from __future__ import annotations

from typing import Any

import msgspec

from moby.core.descriptor import Descriptor
from moby.core.platform import Platform
from moby.core.types.containers import DriverData, HealthConfig
from moby.core.types.wire import Wire, always, always_dict, always_list, omitted


class ImageConfig(Wire):
    """What an image says about the containers made from it (OCI image spec, config.md, and docker's own)."""

    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    env: list[str] = msgspec.field(default_factory=list)
    entrypoint: list[str] = msgspec.field(default_factory=list)
    cmd: list[str] = msgspec.field(default_factory=list)
    volumes: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    working_dir: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    stop_signal: str = ""
    args_escaped: bool = False
    healthcheck: HealthConfig | None = None
    on_build: list[str] = msgspec.field(default_factory=list)
    shell: list[str] = msgspec.field(default_factory=list)


class RootFS(Wire):
    """The layers of an image, by diff ID."""

    type: str = ""
    layers: list[str] = msgspec.field(default_factory=list)


class ImageMetadata(Wire):
    """When the image got its last tag."""

    last_tag_time: str = always("0001-01-01T00:00:00Z")


class ManifestSize(Wire):
    """Bytes of a manifest's content, and of everything of it."""

    content: int = always(0)
    total: int = always(0)


class ImagePropertiesSize(Wire):
    """Bytes of an unpacked image."""

    unpacked: int = always(0)


class PullIdentity(Wire):
    """A repository that an image came from, or was pushed to."""

    repository: str = ""


class BuildIdentity(Wire):
    """A build that made an image; `ref` names it in the builder's history."""

    ref: str = ""
    created_at: str = always("0001-01-01T00:00:00Z")


class Identity(Wire):
    """Where an image came from, as the engine itself has seen it; its name says nothing of that."""

    build: list[BuildIdentity] = msgspec.field(default_factory=list)
    pull: list[PullIdentity] = msgspec.field(default_factory=list)


class ImageProperties(Wire):
    """What a manifest of kind `image` is for, and which containers use it."""

    platform: Platform = always(Platform("", ""))
    identity: Identity | None = None
    size: ImagePropertiesSize = msgspec.field(default_factory=ImagePropertiesSize)
    containers: list[str] = always_list()


class AttestationProperties(Wire):
    """Which image manifest an attestation is about."""

    for_: str = always("", name="For")


class ManifestSummary(Wire):
    """One manifest of an image; `kind` is `image`, `attestation` or `unknown`."""

    id: str = always("", name="ID")
    descriptor: Descriptor | None = always(None)
    available: bool = always(False)
    size: ManifestSize = msgspec.field(default_factory=ManifestSize)
    kind: str = always("")
    image_data: ImageProperties | None = None
    attestation_data: AttestationProperties | None = None


class ImageInspect(Wire):
    """Everything about one image; sizes in bytes, times in RFC 3339."""

    id: str = always("")
    repo_tags: list[str] = always_list()
    repo_digests: list[str] = always_list()
    comment: str = ""
    created: str = ""
    parent: str = ""
    author: str = ""
    config: ImageConfig | None = always(None)
    architecture: str = always("")
    variant: str = ""
    os: str = always("")
    os_version: str = ""
    size: int = always(0)
    graph_driver: DriverData | None = None
    root_fs: RootFS = msgspec.field(default_factory=RootFS, name="RootFS")
    metadata: ImageMetadata = msgspec.field(default_factory=ImageMetadata)
    descriptor: Descriptor | None = None
    manifests: list[ManifestSummary] = msgspec.field(default_factory=list)
    identity: Identity | None = None


class AttestationStatement(Wire):
    """A statement about an image (in-toto), and its own words if they were asked for."""

    descriptor: Descriptor | None = always(None)
    predicate_type: str = always("")
    statement: msgspec.Raw | None = None


class ImageSummary(Wire):
    """An image in the list of images; `containers` and `shared_size` are -1 when not counted."""

    containers: int = always(-1)
    created: int = always(0)
    id: str = always("")
    labels: dict[str, str] | None = always_dict()
    parent_id: str = always("")
    descriptor: Descriptor | None = None
    manifests: list[ManifestSummary] = msgspec.field(default_factory=list)
    repo_digests: list[str] = always_list()
    repo_tags: list[str] = always_list()
    shared_size: int = always(-1)
    size: int = always(0)


class ImageDeleteResponse(Wire):
    """One thing that a removal did: a name taken away, or content deleted."""

    deleted: str = ""
    untagged: str = ""


class ImageHistoryItem(Wire):
    """A step of an image's making; `created` in seconds since 1970."""

    comment: str = always("")
    created: int = always(0)
    created_by: str = always("")
    id: str = always("")
    size: int = always(0)
    tags: list[str] | None = always(None)


class ImagePruneResponse(Wire):
    """What was removed, and the bytes that freed."""

    images_deleted: list[ImageDeleteResponse] | None = always(None)
    space_reclaimed: int = always(0)


class ImageSearchResult(msgspec.Struct):
    """A repository that a search found."""

    star_count: int = 0
    is_official: bool = False
    name: str = ""
    is_automated: bool = False
    description: str = ""


class DistributionInspect(Wire):
    """What a registry tells of an image."""

    descriptor: Descriptor | None = always(None)
    platforms: list[Platform] = always_list()


class CommitResponse(Wire):
    """The ID of an image made from a container."""

    id: str = omitted("", name="Id")
