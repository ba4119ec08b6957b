"""This file is about images that come as files: what `docker save` wrote, or an OCI layout."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from moby.core.codec import encode
from moby.core.descriptor import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    Descriptor,
)
from moby.core.digest import is_digest
from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.core.reference import parse_reference
from moby.host.files import translation
from moby.images.documents import IMAGE_NAME, REF_NAME, Document, read_document
from moby.machine.cache import ImageCache

_CHUNK = 1 << 20
_SMALL_LIMIT = 8 << 20


class _Saved(msgspec.Struct):
    """An image of `docker save`, an entry of its `manifest.json`."""

    config: str = msgspec.field(name="Config")
    layers: list[str] = msgspec.field(name="Layers")
    tags: list[str] | None = msgspec.field(name="RepoTags", default=None)


def take_in(cache: ImageCache, path: Path) -> list[tuple[str, Descriptor]]:
    """Take every image of an archive or a layout in; each with its full name, or with none.

    Raises InvalidParameter for what is neither, NotFound if there is no such file.
    """
    cache.prepare()
    with translation("cannot read image archive"):
        if path.is_dir():
            return _layout(cache, _Folder(path))
        try:
            with tarfile.open(path, "r:*", errors="surrogateescape") as archive:
                source = _Packed(archive)
                if source.find("index.json") and source.find("oci-layout"):
                    return _layout(cache, source)
                return _saved(cache, source)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise InvalidParameter(f"{path} is no archive of images: {error}") from error


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, name: str) -> bool:
        return (self._path / name).is_file()

    def open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")


class _Packed:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {member.name.removeprefix("./"): member for member in archive.getmembers()}

    def find(self, name: str) -> bool:
        return name in self._members

    def open(self, name: str) -> IO[bytes]:
        member = self._members.get(name)
        # Older engines write a layer once, and links to it elsewhere.
        for _hop in range(3):
            if member is None or not (member.issym() or member.islnk()):
                break
            folder = f"{member.name.rpartition('/')[0]}/" if member.issym() else ""
            member = self._members.get(_normal(f"{folder}{member.linkname}"))
        file = None if member is None else self._archive.extractfile(member)
        if file is None:
            raise NotFound(f"{name} is not in the archive")
        return file


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _small(source: _Folder | _Packed, name: str) -> bytes:
    with source.open(name) as file:
        data = file.read(_SMALL_LIMIT + 1)
    if len(data) > _SMALL_LIMIT:
        raise InvalidParameter(f"{name} is larger than {_SMALL_LIMIT} bytes")
    return data


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _layout(cache: ImageCache, source: _Folder | _Packed) -> list[tuple[str, Descriptor]]:
    index = read_document(_small(source, "index.json"), OCI_INDEX)
    found = []
    for entry in index.manifests:
        if entry.media_type in MANIFEST_TYPES | INDEX_TYPES:
            _everything(cache, source, entry)
            found.append((_name(entry), entry))
    if not found:
        raise InvalidParameter("there is no image in the layout")
    return found


def _everything(cache: ImageCache, source: _Folder | _Packed, entry: Descriptor) -> None:
    """A document and all it leads to; of an index, the images that the layout holds."""
    name = f"blobs/{entry.digest.replace(':', '/')}"
    if not is_digest(entry.digest):
        raise InvalidParameter(f"{entry.digest!r} is no digest")
    if entry.media_type not in MANIFEST_TYPES | INDEX_TYPES:
        if not cache.has(entry.digest):
            with source.open(name) as file:
                cache.write(_chunks(file), entry.digest)
        return
    data = _small(source, name)
    document = read_document(data, entry.media_type)
    for child in document.children():
        if not document.is_index or source.find(f"blobs/{child.digest.replace(':', '/')}"):
            _everything(cache, source, child)
    cache.write([data], entry.digest)


def _name(entry: Descriptor) -> str:
    for key in (IMAGE_NAME, REF_NAME):
        try:
            return str(parse_reference(entry.annotations.get(key, "")).with_default_tag())
        except MobyError:
            continue
    return ""


def _saved(cache: ImageCache, source: _Folder | _Packed) -> list[tuple[str, Descriptor]]:
    if not source.find("manifest.json"):
        raise InvalidParameter("there is neither a manifest.json nor an OCI layout in the archive")
    try:
        entries = msgspec.json.decode(_small(source, "manifest.json"), type=list[_Saved])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"the archive's manifest.json cannot be read: {error}") from error
    found: list[tuple[str, Descriptor]] = []
    for entry in entries:
        with source.open(entry.config) as file:
            config = cache.write(_chunks(file))
        layers = []
        for name in entry.layers:
            with source.open(name) as file:
                layers.append(cache.write(_chunks(file)))
        document = Document(
            media_type=DOCKER_MANIFEST,
            config=msgspec.structs.replace(config, media_type=DOCKER_CONFIG),
            layers=[msgspec.structs.replace(layer, media_type=DOCKER_LAYER) for layer in layers],
        )
        manifest = cache.write([encode(document)])
        target = msgspec.structs.replace(manifest, media_type=DOCKER_MANIFEST)
        names = [str(parse_reference(tag).with_default_tag()) for tag in entry.tags or []]
        found += [(name, target) for name in names or [""]]
    if not found:
        raise InvalidParameter("there is no image in the archive")
    return found
