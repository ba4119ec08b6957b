"""This file is about the initial RAM disk: the root as a compressed cpio archive, microcode before it.

To compress it takes longer than all else in most outputs, so those of one build have it in common.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from moby.host.threads import finishing
from moby.machine.job import Job, write_chunks
from moby.machine.rootfs import UCODE
from moby.machine.streams import cpio_stream

# Three levels more take two fifths longer, for a twenty-fifth less.
_ZSTD_LEVEL = 6
# It is cut up for several threads, and always in the same places: how many there are changes nothing.
_ZSTD_THREADS = 2
GZIP_LEVEL = 6
_DEFAULT = "zstd"


async def ram_disk(job: Job) -> Path:
    """The RAM disk as a file, which nobody may change or move: other outputs of the build use it, too."""
    path = (job.common or job.scratch) / f"initrd.{job.options.compression or _DEFAULT}"
    if not path.exists():
        unfinished = path.with_name(f"{path.name}.unfinished")
        await finishing(write_chunks, unfinished, initrd(job))
        unfinished.rename(path)
    return path


def initrd(job: Job) -> Iterator[bytes]:
    """The RAM disk's content; always the same for the same tree."""
    ucode = job.tree.get(UCODE)
    if ucode is not None:
        yield from ucode.chunks()
        yield bytes(-ucode.size % 512)
    yield from compressed(cpio_stream(job.root(), job.moment), job.options.compression or _DEFAULT)


def compressed(chunks: Iterable[bytes], kind: str) -> Iterator[bytes]:
    """A stream compressed by `zstd`, `gzip` or not at all (`none`)."""
    match kind:
        case "zstd":
            yield from _zstd(chunks)
        case "gzip":
            yield from _gzip(chunks)
        case _:
            yield from chunks


def _zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard

    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True, threads=_ZSTD_THREADS)
    packer = compressor.compressobj()
    for chunk in chunks:
        if data := packer.compress(chunk):
            yield data
    yield packer.flush()


def _gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=out, mtime=0) as packer:
        for chunk in chunks:
            packer.write(chunk)
            if out.tell() > 1 << 20:
                yield out.getvalue()
                out.seek(0)
                out.truncate()
    yield out.getvalue()
