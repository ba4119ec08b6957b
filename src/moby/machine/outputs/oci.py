"""This file is about a machine's root as an image of a container: `NAME-oci.tar`, for `docker load`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from moby.core.codec import encode
from moby.core.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from moby.core.digest import digest_of
from moby.core.types.images import ImageConfig
from moby.host.threads import finishing
from moby.images.documents import (
    IMAGE_NAME,
    REF_NAME,
    Document,
    HistoryDocument,
    ImageDocument,
    RootFSDocument,
)
from moby.machine.job import Job, write_chunks, written
from moby.machine.streams import tar_entry, tar_stream


async def write(job: Job) -> list[Path]:
    """Write it. Raises MobyError."""
    layer = job.scratch / "layer.tar"
    size = await finishing(write_chunks, layer, tar_stream(job.root(), job.moment))
    digest = await finishing(_digest, layer)
    target = job.folder / f"{job.name}-oci.tar"
    with written(target) as path:
        await finishing(write_chunks, path, _archive(job, layer, Descriptor(OCI_LAYER, digest, size)))
    return [target]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _archive(job: Job, path: Path, layer: Descriptor) -> Iterator[bytes]:
    made = datetime.fromtimestamp(job.moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = encode(
        ImageDocument(
            created=made,
            architecture=job.platform.architecture,
            os=job.platform.os,
            variant=job.platform.variant,
            config=ImageConfig(cmd=["/sbin/init"]),
            rootfs=RootFSDocument(diff_ids=[layer.digest]),
            history=[HistoryDocument(created=made, created_by="moby build")],
        )
    )
    about = Descriptor(OCI_CONFIG, digest_of(config), len(config))
    manifest = encode(Document(media_type=OCI_MANIFEST, config=about, layers=[layer]))
    names = {IMAGE_NAME: f"docker.io/library/{job.name.lower()}:latest", REF_NAME: "latest"}
    entry = Descriptor(OCI_MANIFEST, digest_of(manifest), len(manifest), annotations=names)
    index = encode(Document(media_type=OCI_INDEX, manifests=[entry]))
    for name, data in (
        ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        ("index.json", index),
        (_place(about), config),
        (_place(entry), manifest),
    ):
        yield from tar_entry(name, [data], len(data), job.moment)
    with path.open("rb") as file:
        yield from tar_entry(_place(layer), iter(lambda: file.read(1 << 20), b""), layer.size, job.moment)
    yield bytes(1024)


def _place(blob: Descriptor) -> str:
    return f"blobs/{blob.digest.replace(':', '/')}"
