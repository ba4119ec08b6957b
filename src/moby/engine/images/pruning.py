"""This file is about pruning: removing the images that nothing uses."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from moby.core.descriptor import INDEX_TYPES, MANIFEST_TYPES
from moby.core.errors import InvalidParameter, MobyError
from moby.core.filters import Filters
from moby.core.images import ImageStore, StoredImage
from moby.core.reference import Reference, dangling_name, parse_reference
from moby.core.types.images import ImageDeleteResponse, ImagePruneResponse
from moby.engine.images.lookup import ImageUser, Lookup, Users, is_dangling, shown
from moby.engine.images.matching import PRUNE_FILTERS, Read, matcher
from moby.engine.images.naming import Naming
from moby.engine.images.summaries import Overviews
from moby.engine.prunes import Prunes
from moby.images.contents import Contents

log = logging.getLogger(__name__)


class Pruning:
    """Prunes images, one prune at a time."""

    def __init__(
        self,
        store: ImageStore,
        lookup: Lookup,
        naming: Naming,
        contents: Contents,
        overviews: Overviews,
        users: Users,
        prunes: Prunes,
    ) -> None:
        self._store = store
        self._lookup = lookup
        self._naming = naming
        self._contents = contents
        self._overviews = overviews
        self._users = users
        self._prunes = prunes

    async def prune(self, filters: Filters, read: Read) -> ImagePruneResponse:
        """Raises Conflict while another prune runs, InvalidParameter for bad filters."""
        with self._prunes.one():
            filters.check(PRUNE_FILTERS)
            await self._store.content.abandon_all()
            await self._store.leases.let_go()
            dangling = filters.flag("dangling", True)
            rest = Filters({key: filters.values(key) for key in filters if key != "dangling"})
            passes = await matcher(rest, read, self._lookup.resolve)
            candidates = {}
            counts: dict[str, int] = {}
            for image in await self._store.list():
                counts[image.target.digest] = counts.get(image.target.digest, 0) + 1
                if (not dangling or is_dangling(image)) and await passes(image):
                    candidates[image.name] = image
            report = await self._remove(_unused(candidates, counts, list(self._users())))
        self._prunes.told(report.space_reclaimed)
        return report

    async def _remove(self, images: Iterable[StoredImage]) -> ImagePruneResponse:
        report = ImagePruneResponse(images_deleted=[])
        assert report.images_deleted is not None
        for image in images:
            try:
                await self._one(image, report, report.images_deleted)
            except MobyError as error:
                log.warning("image not pruned", extra={"image": image.name, "error": error.message})
        self._overviews.forget()
        if not report.images_deleted:
            report.images_deleted = None
        return report

    async def _one(
        self, image: StoredImage, report: ImagePruneResponse, done: list[ImageDeleteResponse]
    ) -> None:
        blobs = [blob async for blob in self._contents.walk(image.target)]
        chains: dict[str, int] = {}
        for blob in blobs:
            if blob.media_type not in MANIFEST_TYPES:
                continue
            try:
                document = await self._contents.image(await self._contents.document(blob))
            except MobyError:
                continue
            for chain in document.chains():
                chains[chain] = await self._overviews.usage(chain)
        await self._store.delete(image.name, sync=True)
        self._overviews.forget()
        self._naming.tell("untag", image.target.digest, shown(image))
        done.append(ImageDeleteResponse(untagged=shown(image)))
        deleted = False
        for blob in blobs:
            if await self._contents.present(blob.digest):
                continue
            self._contents.forget(blob.digest)
            report.space_reclaimed += blob.size
            if blob.media_type in INDEX_TYPES | MANIFEST_TYPES:
                deleted = True
                done.append(ImageDeleteResponse(deleted=blob.digest))
        present = {info.name async for info in self._store.snapshotter.walk()}
        report.space_reclaimed += sum(size for chain, size in chains.items() if chain not in present)
        if deleted:
            self._naming.tell("delete", image.target.digest, shown(image))


def _unused(
    candidates: dict[str, StoredImage], counts: dict[str, int], users: Iterable[ImageUser]
) -> list[StoredImage]:
    """Those that no container uses by name, nor as the last name of what it uses."""
    used = set()
    for user in users:
        candidates.pop(dangling_name(user.image), None)
        by_id = user.image.startswith(f"sha256:{user.name.removeprefix('sha256:')}")
        if by_id or user.name.endswith(f"@{user.image}"):
            used.add(user.image)
        try:
            reference = parse_reference(user.name).with_default_tag()
        except InvalidParameter:
            continue
        candidates.pop(str(reference), None)
        if reference.tag and reference.digest:
            candidates.pop(str(Reference(reference.domain, reference.path, reference.tag)), None)
    for name in sorted(candidates):
        digest = candidates[name].target.digest
        if counts[digest] > 1:
            counts[digest] -= 1
        elif digest in used:
            del candidates[name]
    return [candidates[name] for name in sorted(candidates)]
