"""The pull of an image of 300 MB, seven layers and 30,000 files from a registry on the same machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from pathlib import Path

from bench.measurement import Measurement, milliseconds
from bench.place import REGISTRY, Side

LAYERS, FILES, COMPRESSED = 7, 30_000, 300 << 20
NAME = f"{REGISTRY}/bench/large:1"


def layer(number: int) -> bytes:
    """A tar whose files are half noise and half text, which compresses as programs do; always the same."""
    source = random.Random(number)
    count = FILES // LAYERS
    noise = COMPRESSED // LAYERS // count
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for directory in range(count // 100 + 1):
            info = tarfile.TarInfo(f"l{number}/d{directory}")
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for index in range(count):
            size = source.randrange(noise // 4, noise * 7 // 4)
            data = source.randbytes(size) + b"text that packs well, " * (size // 12)
            info = tarfile.TarInfo(f"l{number}/d{index // 100}/f{index}")
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def digest(data: bytes) -> str:
    """As registries name it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


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


def publish(side: Side) -> None:
    """Makes the image in the registry's own storage, once for both sides: to push it would take longer."""
    root = side.files.parent / "registry/data/docker/registry/v2"
    repository = root / "repositories/bench/large"
    if repository.exists():
        return
    layers, diff_ids = [], []
    for number in range(LAYERS):
        plain = layer(number)
        packed = gzip.compress(plain, compresslevel=1, mtime=0)
        layers.append(
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": len(packed),
                "digest": store(root, packed, repository),
            }
        )
        diff_ids.append(digest(plain))
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(config),
                "digest": store(root, config, repository),
            },
            "layers": layers,
        }
    ).encode()
    name = store(root, manifest)
    link(repository / "_manifests/revisions/sha256" / name.removeprefix("sha256:"), name)
    link(repository / "_manifests/tags/1/current", name)
    link(repository / "_manifests/tags/1/index/sha256" / name.removeprefix("sha256:"), name)


def pull(side: Side) -> float:
    """One pull into an engine without the image; the removal before is not counted."""
    side.engine.docker("rmi", "--force", NAME, timeout=120)
    return milliseconds(lambda: side.engine.ok("pull", "--quiet", NAME, timeout=300))


def end(side: Side) -> None:
    """Without the image again."""
    side.engine.docker("rmi", "--force", NAME, timeout=120)


MEASUREMENTS = (
    Measurement("pull-300MB", "ms", pull, rounds=3, goal=0.7, warm=False, prepare=publish, tidy=end),
)
