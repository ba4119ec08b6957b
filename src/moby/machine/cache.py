"""This file is about the images that are kept on this machine: an OCI layout that other tools can read too.

Blobs are verified when they come in and never change; a name is an entry of `index.json`. Any number of
processes may use one cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from moby.core.codec import encode
from moby.core.descriptor import Descriptor
from moby.core.digest import check_digest
from moby.core.errors import DataLoss, InvalidParameter, NotFound
from moby.core.platform import Platform
from moby.core.reference import Reference
from moby.host.files import translation, write_atomic
from moby.images.compression import STEP, decoder, detect
from moby.images.documents import (
    REF_NAME,
    Document,
    ImageDocument,
    choose,
    is_image_manifest,
    read_document,
    read_image,
)

_CHUNK = 1 << 20
_INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class Image:
    """An image for one platform whose every blob is here; `target` is what its name stands for."""

    name: str
    target: Descriptor
    manifest: Descriptor
    layers: tuple[Descriptor, ...]
    config: ImageDocument


class ImageCache:
    """Images in a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the layout if it is not there. Raises MobyError."""
        with translation("cannot make the image cache"):
            (self.root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            marker = self.root / "oci-layout"
            if not marker.exists():
                write_atomic(marker, b'{"imageLayoutVersion":"1.0.0"}\n', 0o644)

    def blob(self, digest: str) -> Path:
        """Where a blob is, if it is here."""
        algorithm, _, rest = check_digest(digest).partition(":")
        return self.root / "blobs" / algorithm / rest

    def has(self, digest: str) -> bool:
        """Is this blob here?"""
        return self.blob(digest).exists()

    def read(self, digest: str, limit: int = 8 << 20) -> bytes:
        """A small blob. Raises NotFound, InvalidParameter, DataLoss."""
        with translation(f"cannot read blob {digest}"):
            path = self.blob(digest)
            if path.stat().st_size > limit:
                raise InvalidParameter(f"blob {digest} is larger than {limit} bytes")
            data = path.read_bytes()
        if _hash(digest, [data]) != digest:
            raise DataLoss(f"blob {digest} in {self.root} is corrupt", hint="remove the file")
        return data

    def write(self, chunks: Iterable[bytes], expected: str = "") -> Descriptor:
        """Keep a blob. Raises DataLoss if it is not what was expected; nothing stays then."""
        with self.writing(expected) as blob:
            for chunk in chunks:
                blob.feed(chunk)
        return Descriptor("", blob.digest, blob.size)

    @contextmanager
    def writing(self, expected: str = "") -> Iterator[BlobWriter]:
        """A blob that comes in pieces; it is kept when the block ends well, and gone otherwise."""
        self.prepare()
        with translation("cannot write to the image cache"):
            unfinished = self.root / "blobs" / f".{os.getpid()}.{os.urandom(6).hex()}"
            try:
                with unfinished.open("xb") as file:
                    writer = BlobWriter(file.write, (expected or "sha256:").partition(":")[0])
                    yield writer
                    file.flush()
                    os.fsync(file.fileno())
                if expected and writer.digest != expected:
                    raise DataLoss(f"blob {expected} came as {writer.digest}")
                place = self.blob(writer.digest)
                place.parent.mkdir(exist_ok=True)
                unfinished.chmod(0o644)
                unfinished.rename(place)
            finally:
                unfinished.unlink(missing_ok=True)

    def names(self) -> dict[str, Descriptor]:
        """Every image by its full name."""
        try:
            data = (self.root / _INDEX).read_bytes()
        except FileNotFoundError:
            return {}
        try:
            index = msgspec.json.decode(data, type=Document)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataLoss(f"{self.root / _INDEX} cannot be read: {error}") from error
        return {
            entry.annotations[REF_NAME]: entry for entry in index.manifests if REF_NAME in entry.annotations
        }

    def name(self, name: str, target: Descriptor | None) -> None:
        """Give an image a name, or take it away."""
        self.prepare()
        with translation("cannot write to the image cache"), (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            names = self.names()
            names.pop(name, None)
            if target is not None:
                plain = Descriptor(target.media_type, target.digest, target.size, platform=target.platform)
                names[name] = msgspec.structs.replace(plain, annotations={REF_NAME: name})
            index = Document(
                media_type="application/vnd.oci.image.index.v1+json",
                manifests=[names[key] for key in sorted(names)],
            )
            write_atomic(self.root / _INDEX, encode(index) + b"\n", 0o644)

    def image(self, target: Descriptor, platform: Platform, name: str = "") -> Image:
        """The image for a platform that a target leads to. Raises NotFound if any part of it is not here."""
        manifest, document = self.manifest(target, platform)
        assert document.config is not None
        if not is_image_manifest(document):
            raise InvalidParameter(f"{name or target.digest} is no image of a file system")
        config = read_image(self.read(document.config.digest))
        for layer in document.layers:
            if not self.has(layer.digest):
                raise NotFound(f"layer {layer.digest} of {name or target.digest} is not here")
        if len(config.rootfs.diff_ids) != len(document.layers):
            raise InvalidParameter(f"{name or target.digest}: {len(document.layers)} layers, not as it says")
        return Image(name or target.digest, target, manifest, tuple(document.layers), config)

    def manifest(self, target: Descriptor, platform: Platform) -> tuple[Descriptor, Document]:
        """The manifest for a platform. Raises NotFound."""
        document = read_document(self.read(target.digest), target.media_type)
        while document.is_index:
            found = choose(document.manifests, platform)
            if found is None:
                raise NotFound(f"there is no image for {platform} in {target.digest}")
            target, document = found, read_document(self.read(found.digest), found.media_type)
        return target, document

    def plain_layers(self, image: Image) -> list[Path]:
        """The image's layers as plain tar archives, verified against its configuration. Raises DataLoss."""
        pairs = zip(image.layers, image.config.rootfs.diff_ids, strict=True)
        return [self._plain(layer, diff_id) for layer, diff_id in pairs]

    def _plain(self, layer: Descriptor, diff_id: str) -> Path:
        if self.has(diff_id):
            return self.blob(diff_id)
        source = self.blob(layer.digest)
        with translation(f"cannot read layer {layer.digest}"), source.open("rb") as file:
            kind = detect(file.read(10))
            file.seek(0)
            decode = decoder(kind)
            self.write((plain for chunk in _chunks(file) for plain in decode.feed(chunk)), diff_id)
            decode.finish()
        return self.blob(diff_id)

    def size(self) -> int:
        """Bytes of all blobs."""
        blobs = self.root / "blobs"
        return (
            sum(path.stat().st_size for path in blobs.rglob("*") if path.is_file()) if blobs.exists() else 0
        )

    def clean(self) -> None:
        """Remove every image."""
        if (self.root / "oci-layout").exists():
            with translation("cannot remove the image cache"):
                shutil.rmtree(self.root)


class BlobWriter:
    """Counts and hashes what it passes on."""

    def __init__(self, write: Callable[[bytes], object], algorithm: str) -> None:
        self._write = write
        self._hash = hashlib.new(algorithm)
        self._algorithm = algorithm
        self.size = 0

    @property
    def digest(self) -> str:
        """The digest of what came so far."""
        return f"{self._algorithm}:{self._hash.hexdigest()}"

    def feed(self, chunk: bytes) -> None:
        """More of the blob."""
        self._hash.update(chunk)
        self.size += len(chunk)
        self._write(chunk)


def default_cache() -> Path:
    """Where a user's images are: `$XDG_CACHE_HOME/moby`, or `~/.cache/moby`."""
    home = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(home) if home.startswith("/") else Path.home() / ".cache") / "moby"


def full_name(reference: Reference) -> str:
    """A reference as the cache names it."""
    return str(reference.with_default_tag())


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(min(STEP, _CHUNK)):
        yield chunk


def _hash(like: str, chunks: Iterable[bytes]) -> str:
    algorithm = like.partition(":")[0]
    found = hashlib.new(algorithm)
    for chunk in chunks:
        found.update(chunk)
    return f"{algorithm}:{found.hexdigest()}"
