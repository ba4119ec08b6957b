"""This file is about committing: an image, one layer more, a configuration and a line of history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec

from moby.core.descriptor import OCI_CONFIG, OCI_MANIFEST, Descriptor
from moby.core.images import ImageStore
from moby.core.types.images import ImageConfig
from moby.images.archive_import import Importer
from moby.images.contents import Contents
from moby.images.documents import Document, HistoryDocument, RootFSDocument, encode_document, gc_labels
from moby.images.unpack import Chains, snapshot_label


class CommitRequest(msgspec.Struct, frozen=True):
    """What becomes of the image `parent` (a manifest); `parent_image` is its image's ID."""

    parent: Descriptor
    config: ImageConfig
    created_by: str = ""
    author: str = ""
    comment: str = ""
    parent_image: str = ""


class Committer:
    """Makes images out of others; the caller holds the lease and names what comes out."""

    def __init__(self, store: ImageStore, chains: Chains, importer: Importer) -> None:
        self._store = store
        self._chains = chains
        self._importer = importer
        self._contents = Contents(store)

    async def commit(self, layer: AsyncIterator[bytes], request: CommitRequest) -> Descriptor:
        """The image, unpacked. Raises NotFound if its parent is not here any more."""
        manifest = await self._contents.document(request.parent)
        parent = await self._contents.image(manifest)
        blob, diff_id = await self._importer.layer(layer, "")
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = HistoryDocument(
            created=now, created_by=request.created_by, author=request.author, comment=request.comment
        )
        image = msgspec.structs.replace(
            parent,
            created=now,
            author=request.author,
            config=request.config,
            rootfs=RootFSDocument(diff_ids=[*parent.rootfs.diff_ids, diff_id]),
            history=[*parent.history, line],
        )
        labels = dict(snapshot_label(self._store, image.chain))
        configured = await self._importer.document(OCI_CONFIG, encode_document(image), labels)
        made = Document(media_type=OCI_MANIFEST, config=configured, layers=[*manifest.layers, blob])
        await self._chains.unpack(made.layers, image.rootfs.diff_ids)
        return await self._importer.document(OCI_MANIFEST, encode_document(made), gc_labels(made))
