"""This file is about importing: a plain tar of a file system becomes an image of one layer."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec

from moby.core.descriptor import OCI_CONFIG, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST, Descriptor
from moby.core.digest import digest_of
from moby.core.images import ImageStore
from moby.core.platform import Platform, host_platform
from moby.core.types.images import ImageConfig
from moby.host.threads import blocking
from moby.images.changes import apply_changes
from moby.images.compression import STEP, decoder, detect, peek, plain
from moby.images.documents import (
    Document,
    HistoryDocument,
    ImageDocument,
    RootFSDocument,
    encode_document,
    gc_labels,
)
from moby.images.unpack import UNCOMPRESSED, Chains, snapshot_label


class ImportRequest(msgspec.Struct, frozen=True):
    """What to make of a tar."""

    platform: Platform | None = None
    message: str = ""
    changes: Sequence[str] = ()


class Importer:
    """Makes images out of tars; the caller holds the lease and names what comes out."""

    def __init__(self, store: ImageStore, chains: Chains | None = None) -> None:
        self._store = store
        self._chains = chains or Chains(store)

    async def import_(self, chunks: AsyncIterator[bytes], request: ImportRequest) -> Descriptor:
        """The image, unpacked. Raises InvalidParameter for bad changes or a tar that is none."""
        config = apply_changes(ImageConfig(), request.changes)
        start, rest = await peek(chunks)
        kind = detect(start)
        layer, diff_id = await self.layer(rest, kind)
        platform = request.platform or host_platform()
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        image = ImageDocument(
            created=now,
            architecture=platform.architecture,
            os=platform.os,
            variant=platform.variant,
            config=config,
            rootfs=RootFSDocument(diff_ids=[diff_id]),
            history=[HistoryDocument(created=now, comment=request.message)],
        )
        # The label keeps a chain that was unpacked before from being collected meanwhile.
        labels = dict(snapshot_label(self._store, image.chain))
        configured = await self.document(OCI_CONFIG, encode_document(image), labels)
        await self._chains.unpack([layer], [diff_id])
        manifest = Document(media_type=OCI_MANIFEST, config=configured, layers=[layer])
        return await self.document(OCI_MANIFEST, encode_document(manifest), gc_labels(manifest))

    async def layer(self, chunks: AsyncIterator[bytes], kind: str) -> tuple[Descriptor, str]:
        """The tar as a layer: gzip and zstd as they are, everything else as gzip."""
        plain_digest = hashlib.sha256()
        if kind in ("gzip", "zstd"):
            stream = _tee(chunks, kind, plain_digest)
            media_type = OCI_LAYER_GZIP if kind == "gzip" else OCI_LAYER_ZSTD
        else:
            stream = _gzip(plain(chunks), plain_digest)
            media_type = OCI_LAYER_GZIP
        info = await self._store.content.write(f"import-{os.urandom(8).hex()}", stream)
        diff_id = f"sha256:{plain_digest.hexdigest()}"
        await self._store.content.label(info.digest, {UNCOMPRESSED: diff_id})
        return Descriptor(media_type, info.digest, info.size), diff_id

    async def document(self, media_type: str, data: bytes, labels: dict[str, str]) -> Descriptor:
        """Write a manifest or a configuration."""
        digest = digest_of(data)
        await self._store.content.write(
            f"import-{digest}", _once(data), size=len(data), digest=digest, labels=labels
        )
        return Descriptor(media_type, digest, len(data))


async def _tee(chunks: AsyncIterator[bytes], kind: str, plain_digest: hashlib._Hash) -> AsyncIterator[bytes]:
    """The same stream, while what it decompresses to is hashed."""
    decode = decoder(kind)

    def follow(part: bytes) -> None:
        for piece in decode.feed(part):
            plain_digest.update(piece)

    async for chunk in chunks:
        for begin in range(0, len(chunk), STEP):
            await blocking(follow, chunk[begin : begin + STEP])
        yield chunk
    decode.finish()


async def _gzip(chunks: AsyncIterator[bytes], plain_digest: hashlib._Hash) -> AsyncIterator[bytes]:
    """A plain stream as gzip, hashed before."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)

    def step(part: bytes) -> bytes:
        plain_digest.update(part)
        return compressor.compress(part)

    async for chunk in chunks:
        if packed := await blocking(step, chunk):
            yield packed
    yield compressor.flush()


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
