"""Images to measure with, the same at every run, where a docker-registry keeps them or in an archive."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.place import Side

LARGE = "bench/large"
LAYERS, FILES, COMPRESSED = 7, 30_000, 300 << 20
TINY_LAYERS = 60
NOISE_LAYERS, NOISE = 4, 256 << 20


class Packed(NamedTuple):
    """A layer as it is sent, and the digest of its plain tar."""

    data: bytes
    diff_id: str


def layer(number: int, *, files: int, noise: int, text: int) -> bytes:
    """A tar of noise and, `text` times as much, text that packs well: together as programs are."""
    source = random.Random(number)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for directory in range(files // 100 + 1):
            info = tarfile.TarInfo(f"l{number}/d{directory}")
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for index in range(files):
            size = source.randrange(noise // files // 4, noise // files * 7 // 4 + 1)
            data = source.randbytes(size) + b"text that packs well, " * (size * text // 12)
            info = tarfile.TarInfo(f"l{number}/d{index // 100}/f{index}")
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def large_layers() -> Iterator[bytes]:
    """300 MB when compressed, 30,000 files."""
    for number in range(LAYERS):
        yield layer(number, files=FILES // LAYERS, noise=COMPRESSED // LAYERS, text=1)


def plain_layers() -> Iterator[bytes]:
    """300 MB when not compressed, 30,000 files."""
    for number in range(LAYERS):
        yield layer(number, files=FILES // LAYERS, noise=COMPRESSED // LAYERS, text=0)


def tiny_layers() -> Iterator[bytes]:
    """A file each."""
    for number in range(TINY_LAYERS):
        yield layer(number, files=1, noise=1000, text=1)


def noise_layers() -> Iterator[bytes]:
    """1 GB in a few files."""
    for number in range(NOISE_LAYERS):
        yield layer(number, files=4, noise=NOISE, text=0)


def compressed(layers: Iterable[bytes], level: int = 1) -> Iterator[Packed]:
    """Layers as registries have them."""
    for plain in layers:
        yield Packed(gzip.compress(plain, compresslevel=level, mtime=0), digest(plain))


def digest(data: bytes) -> str:
    """As registries name it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def configuration(diff_ids: list[str], **more: Any) -> bytes:
    """An image's configuration."""
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    return json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs, **more}
    ).encode()


def store(root: Path, data: bytes, repository: Path | None = None) -> str:
    """Puts a blob where docker-registry keeps it, and links it to a repository."""
    name = digest(data)
    value = name.removeprefix("sha256:")
    blob = root / "blobs/sha256" / value[:2] / value / "data"
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    if repository is not None:
        link(repository / "_layers/sha256" / value, name)
    return name


def link(directory: Path, name: str) -> None:
    """A registry's link file."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "link").write_text(name)


def publish(side: Side, name: str, layers: Callable[[], Iterator[Packed]]) -> None:
    """Makes the image `name:1` in the registry's own storage, once for both sides."""
    root = side.files.parent / "registry/data/docker/registry/v2"
    repository = root / "repositories" / name
    if repository.exists():
        return
    described, diff_ids = [], []
    for packed in layers():
        described.append(
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": len(packed.data),
                "digest": store(root, packed.data, repository),
            }
        )
        diff_ids.append(packed.diff_id)
    config = configuration(diff_ids)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(config),
                "digest": store(root, config, repository),
            },
            "layers": described,
        }
    ).encode()
    stored = store(root, manifest)
    link(repository / "_manifests/revisions/sha256" / stored.removeprefix("sha256:"), stored)
    link(repository / "_manifests/tags/1/current", stored)
    link(repository / "_manifests/tags/1/index/sha256" / stored.removeprefix("sha256:"), stored)


def archive(path: Path, images: Iterable[tuple[str, list[bytes], bytes]]) -> None:
    """A `docker save` archive of images: names, their layers, which may be shared, and configurations."""
    manifest, written = [], set[str]()
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:

        def add(name: str, data: bytes) -> str:
            if name not in written:
                written.add(name)
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
            return name

        for name, layers, config in images:
            value = digest(config).removeprefix("sha256:")
            manifest.append(
                {
                    "Config": add(f"{value}.json", config),
                    "RepoTags": [name],
                    "Layers": [
                        add(f"{digest(one).removeprefix('sha256:')}/layer.tar", one) for one in layers
                    ],
                }
            )
        add("manifest.json", json.dumps(manifest).encode())
