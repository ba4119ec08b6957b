"""This file is about images as the API shows them: list, inspect, history; its neighbours do the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime

import msgspec

from moby.core.descriptor import Descriptor
from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.core.events import Bus
from moby.core.filters import Filters
from moby.core.images import ImageStore, StoredImage
from moby.core.platform import Platform, host_platform
from moby.core.reference import parse_reference
from moby.core.types.containers import DriverData
from moby.core.types.images import (
    AttestationStatement,
    ImageConfig,
    ImageDeleteResponse,
    ImageHistoryItem,
    ImageInspect,
    ImageMetadata,
    ImagePruneResponse,
    ImageSummary,
    RootFS,
)
from moby.engine.images.lookup import Lookup, Users, is_dangling, shown
from moby.engine.images.matching import LIST_FILTERS, matcher, parse_created
from moby.engine.images.naming import Naming
from moby.engine.images.origins import Attestations, identity_of, parent_of
from moby.engine.images.pruning import Pruning
from moby.engine.images.removal import Removal
from moby.engine.images.summaries import Overview, Overviews
from moby.engine.prunes import Prunes
from moby.images.contents import Contents
from moby.images.documents import ImageDocument


class ImageUsageTotals(msgspec.Struct, frozen=True):
    """The disk that images take: how many, how many in use, bytes, and what a prune would free."""

    images: int
    active: int
    size: int
    reclaimable: int


class ImageService:
    """The images that are here."""

    def __init__(self, store: ImageStore, bus: Bus, users: Users) -> None:
        self._store = store
        self._users = users
        self.lookup = Lookup(store)
        self.contents = Contents(store)
        self.naming = Naming(store, self.lookup, self.contents, bus)
        self._overviews = Overviews(store, self.contents)
        self._listed: tuple[tuple[Hashable, ...], Sequence[ImageSummary]] = ((), ())
        self._removal = Removal(store, self.lookup, self.naming, self.contents, users)
        self._pruning = Pruning(
            store, self.lookup, self.naming, self.contents, self._overviews, users, Prunes("image", bus)
        )

    async def inspect(
        self, name: str, *, platform: Platform | None = None, manifests: bool = False
    ) -> ImageInspect:
        """Everything about one image. Raises NotFound."""
        image = await self.lookup.resolve(name)
        same = await self.lookup.with_target(image.target.digest)
        wanted = platform or host_platform()
        here = await self._overviews.sizes()
        overview = await self._overviews.look(
            image, wanted, list(self._users()), here, strict=platform is not None
        )
        if overview.best is None and platform is not None:
            raise _not_provided(name, platform)
        target = overview.best if platform is not None and overview.best is not None else image.target
        tags, digests = _names(same)
        document = overview.document or ImageDocument()
        identity = await identity_of(self._store, target.digest)
        updated = [each.updated_at for each in same if each.updated_at is not None]
        return ImageInspect(
            id=target.digest,
            repo_tags=tags,
            repo_digests=digests,
            comment=document.history[-1].comment if document.history else "",
            created=document.created,
            parent=parent_of(same),
            author=document.author,
            config=document.config,
            architecture=document.architecture,
            variant=document.variant,
            os=document.os,
            os_version=document.os_version,
            size=overview.best_size if overview.best is not None else overview.size,
            graph_driver=DriverData(name=self._store.snapshotter.name),
            root_fs=RootFS(type=document.rootfs.type, layers=list(document.rootfs.diff_ids)),
            metadata=ImageMetadata(last_tag_time=_timestamp(max(updated)) if updated else _NEVER),
            descriptor=target,
            manifests=overview.manifests if manifests else [],
            identity=identity,
        )

    async def attestations(
        self,
        name: str,
        *,
        platform: Platform | None = None,
        kinds: Sequence[str] = (),
        statements: bool = False,
    ) -> Sequence[AttestationStatement]:
        """What was stated about an image. Raises NotFound."""
        target = (await self.lookup.resolve(name)).target
        reader = Attestations(self._store, self.contents)
        return await reader.read(target, platform or host_platform(), kinds, statements=statements)

    async def history(self, name: str, *, platform: Platform | None = None) -> Sequence[ImageHistoryItem]:
        """How it was made, latest step first. Raises NotFound."""
        image = await self.lookup.resolve(name)
        _, document = await self.chosen(image, platform)
        sizes = [await self._overviews.usage(chain) for chain in document.chains()]
        items = []
        for step in document.history:
            created = parse_created(step.created)
            if not step.empty_layer and not sizes:
                raise InvalidParameter("unable to find the size of the layer")
            items.append(
                ImageHistoryItem(
                    id="<missing>",
                    comment=step.comment,
                    created=int(created.timestamp()) if created else 0,
                    created_by=step.created_by,
                    size=0 if step.empty_layer else sizes.pop(0),
                )
            )
        items.reverse()
        if items:
            items[0].id = image.target.digest
            items[0].tags = _names(await self.lookup.with_target(image.target.digest))[0] or None
        return items

    async def chosen(self, image: StoredImage, platform: Platform | None) -> tuple[Descriptor, ImageDocument]:
        """The manifest of an image for a platform, and its configuration. Raises NotFound."""
        best = await self.contents.best(image.target, platform or host_platform(), strict=True)
        if best is None and platform is None:
            best = await self.contents.best(image.target, host_platform(), strict=False)
        if best is None:
            raise _not_provided(shown(image), platform)
        return best, await self.contents.image(await self.contents.document(best))

    async def tag(self, name: str, repository: str, tag: str) -> None:
        """Give it another name. Raises NotFound, InvalidParameter."""
        await self.naming.tag(name, repository, tag)

    async def remove(
        self, name: str, *, force: bool = False, prune: bool = True, platforms: Sequence[Platform] = ()
    ) -> Sequence[ImageDeleteResponse]:
        """Raises NotFound, Conflict. There are no untagged parents to remove, so `prune` changes nothing."""
        return await self._removal.remove(name, force=force, platforms=platforms)

    async def prune(self, filters: Filters) -> ImagePruneResponse:
        """Remove what nothing uses. Raises Conflict, InvalidParameter."""
        return await self._pruning.prune(filters, self._read)

    async def count(self) -> int:
        """How many there are, by target."""
        return len({image.target.digest for image in await self._store.list()})

    async def usage(self) -> ImageUsageTotals:
        """The disk that they take."""
        users = list(self._users())
        used_by = {user.image for user in users}
        here = await self._overviews.sizes()
        targets = {image.target.digest: image for image in await self._store.list()}
        blobs: dict[str, int] = {}
        chains: set[str] = set()
        used_blobs: set[str] = set()
        used_chains: set[str] = set()
        for digest, image in targets.items():
            overview = await self._overviews.look(image, host_platform(), users, here, strict=False)
            blobs |= overview.blobs
            chains |= overview.chains
            if digest in used_by:
                used_blobs |= set(overview.blobs)
                used_chains |= overview.chains
        size = sum(blobs.values()) + sum([await self._overviews.usage(chain) for chain in chains])
        used = sum(blobs[blob] for blob in used_blobs)
        used += sum([await self._overviews.usage(chain) for chain in used_chains])
        return ImageUsageTotals(len(targets), len(used_by & set(targets)), size, size - used)

    async def _read(self, image: StoredImage) -> ImageDocument | None:
        try:
            return (await self.chosen(image, None))[1]
        except MobyError:
            return None

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - the parameter's name in the Engine API
        filters: Filters,
        shared_size: bool = False,
        manifests: bool = False,
        identity: bool = False,
    ) -> Sequence[ImageSummary]:
        """Newest first. Raises InvalidParameter for bad filters."""
        filters.check(LIST_FILTERS)
        users, version = [*self._users()], self._store.version()
        asked = (version, shared_size, manifests, identity, *users)
        repeatable = version is not None and not filters
        if repeatable and asked == self._listed[0]:
            return self._listed[1]
        passes = await matcher(filters, self._read, self.lookup.resolve)
        groups: dict[str, list[StoredImage]] = {}
        for image in await self._store.list():
            if await passes(image):
                groups.setdefault(image.target.digest, []).append(image)
        here, wanted = await self._overviews.sizes(), host_platform()
        overviews = [
            (await self._overviews.look(images[0], wanted, users, here, strict=False), images)
            for images in groups.values()
        ]
        summaries = [_summary(overview, images, manifests) for overview, images in overviews]
        if identity:
            for overview, _ in overviews:
                for manifest in overview.manifests:
                    if manifest.image_data is not None:
                        manifest.image_data.identity = await identity_of(self._store, manifest.id)
        if shared_size:
            found = [overview for overview, _ in overviews]
            blobs = Counter(blob for each in found for blob in each.blobs)
            chains = Counter(chain for each in found for chain in each.chains)
            for summary, overview in zip(summaries, found, strict=True):
                shared = [chain for chain in overview.chains if chains[chain] > 1]
                summary.shared_size = sum([await self._overviews.usage(chain) for chain in shared])
                summary.shared_size += sum(size for blob, size in overview.blobs.items() if blobs[blob] > 1)
        summaries.sort(key=lambda summary: summary.created, reverse=True)
        if repeatable:
            self._listed = asked, summaries
        return summaries


_NEVER = "0001-01-01T00:00:00Z"


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _names(images: Sequence[StoredImage]) -> tuple[list[str], list[str]]:
    """Tags and digests of images with one target, as people read them."""
    tags: dict[str, None] = {}
    digests: dict[str, None] = {}
    for image in images:
        if is_dangling(image):
            continue
        try:
            reference = parse_reference(image.name)
        except InvalidParameter:
            tags[image.name] = None
            continue
        tags[reference.familiar] = None
        if reference.digest:
            digests[reference.familiar] = None
        else:
            digests[reference.only_name().with_digest(image.target.digest).familiar] = None
    return [*tags], [*digests]


def _summary(overview: Overview, images: Sequence[StoredImage], manifests: bool) -> ImageSummary:
    tags, digests = _names(images)
    target = images[0].target
    document = overview.document
    made = parse_created(document.created) if document is not None else None
    config = document.config if document is not None else ImageConfig()
    return ImageSummary(
        containers=overview.containers if overview.best is not None else -1,
        created=int(made.timestamp()) if made else 0,
        id=target.digest,
        labels=dict(config.labels),
        parent_id=parent_of(images),
        descriptor=target,
        manifests=overview.manifests if manifests else [],
        repo_digests=digests,
        repo_tags=tags,
        size=overview.size,
    )


def _not_provided(name: str, platform: Platform | None) -> NotFound:
    what = f"the specified platform ({platform})" if platform else "any platform"
    return NotFound(f"image with reference {name} was found but does not provide {what}")
