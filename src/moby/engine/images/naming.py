"""This file is about names: giving them, taking them away, and keeping what loses its last one."""

from __future__ import annotations

from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.core.events import Bus
from moby.core.images import ImageStore, StoredImage
from moby.core.platform import host_platform
from moby.core.reference import dangling_name, parse_reference
from moby.engine.images.lookup import Lookup, is_dangling, shown
from moby.images.contents import Contents


class Naming:
    """Names images and tells of it."""

    def __init__(self, store: ImageStore, lookup: Lookup, contents: Contents, bus: Bus) -> None:
        self._store = store
        self._lookup = lookup
        self._contents = contents
        self._bus = bus

    async def tag(self, name: str, repository: str, tag: str) -> None:
        """Give an image another name. Raises NotFound, InvalidParameter."""
        reference = parse_reference(repository)
        if reference.digest:
            raise InvalidParameter("refusing to create a tag with a digest reference")
        reference = (reference.with_tag(tag) if tag else reference).with_default_tag()
        if reference.familiar_name == "sha256":
            raise InvalidParameter("refusing to create an ambiguous tag using digest algorithm as name")
        image = await self._lookup.resolve(name)
        await self.name(StoredImage(str(reference), image.target, image.labels))

    async def name(self, image: StoredImage) -> None:
        """Name a target; what had the name before stays, without one if it has no other."""
        await self.keep_previous(image)
        await self._store.put(image)
        if not is_dangling(image):
            await self.forget_dangling(image.target.digest)
            self.tell("tag", image.target.digest, shown(image))

    async def keep_previous(self, image: StoredImage) -> None:
        """Before `image` takes its name: keep the one that has it."""
        try:
            previous = await self._store.get(image.name)
        except NotFound:
            return
        if previous.target.digest != image.target.digest:
            await self.keep(previous)

    async def keep(self, image: StoredImage) -> None:
        """Keep an image that is about to lose this name."""
        if len(await self._lookup.with_target(image.target.digest)) <= 1 and not is_dangling(image):
            await self._store.put(StoredImage(dangling_name(image.target.digest), image.target, image.labels))

    async def forget_dangling(self, digest: str) -> None:
        """An image has a name now."""
        try:
            await self._store.delete(dangling_name(digest))
        except NotFound:
            return

    async def labels(self, image: StoredImage) -> dict[str, str]:
        """An image's own labels; none if its configuration is not here."""
        try:
            best = await self._contents.best(image.target, host_platform(), strict=False)
            if best is None:
                return {}
            return dict((await self._contents.image(await self._contents.document(best))).config.labels)
        except MobyError:
            return {}

    def tell(self, action: str, actor: str, name: str, labels: dict[str, str] | None = None) -> None:
        """Publish an event."""
        self._bus.publish("image", action, actor, {**(labels or {}), "name": name})
