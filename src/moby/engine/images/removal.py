"""This file is about removing images: names first, content with the last of them, and what forbids it."""

from __future__ import annotations

from collections.abc import Sequence

from moby.core.descriptor import INDEX_TYPES, MANIFEST_TYPES
from moby.core.errors import Conflict, InvalidParameter, NotFound
from moby.core.images import ImageStore, StoredImage
from moby.core.platform import Platform
from moby.core.reference import Reference, parse_any, parse_reference
from moby.core.types.images import ImageDeleteResponse
from moby.engine.images.lookup import Lookup, Users, is_dangling, no_such_image, shown
from moby.engine.images.naming import Naming
from moby.images.contents import Contents


class Removal:
    """Removes images."""

    def __init__(
        self, store: ImageStore, lookup: Lookup, naming: Naming, contents: Contents, users: Users
    ) -> None:
        self._store = store
        self._lookup = lookup
        self._naming = naming
        self._contents = contents
        self._users = users

    async def remove(
        self, name: str, *, force: bool, platforms: Sequence[Platform] = ()
    ) -> list[ImageDeleteResponse]:
        """What was done. Raises NotFound, and Conflict while containers or other names forbid it."""
        if platforms and not force:
            raise InvalidParameter(
                "Content will be removed from all images referencing this variant. "
                "Use —-force to force delete."
            )
        exact, every = await self._lookup.references(name)
        digest = every[0].target.digest
        if platforms:
            return await self._platforms(every[0], platforms)
        many = not force
        if exact is None or is_dangling(exact):
            named = None if _is_id(name, digest) else parse_any(name)
            same = _same(named if isinstance(named, Reference) else None, every)
            if isinstance(named, Reference) and not same:
                raise no_such_image(named)
            if len(same) == len(every):
                many = False
            elif isinstance(named, Reference):
                return await self._untag(same)
        elif not _is_id(name, digest):
            reference = parse_reference(exact.name)
            same = _same(reference, every)
            if len(same) != len(every):
                return await self._untag(same)
            many = False
            if user := next((user for user in self._users() if user.image == digest), None):
                if not force:
                    raise _conflict(
                        reference.familiar,
                        f"container {user.container[:12]} is using its referenced image {_short(digest)}",
                    )
                await self._naming.keep(exact)
                await self._store.delete(exact.name)
                self._naming.tell("untag", digest, reference.familiar)
                return [ImageDeleteResponse(untagged=reference.familiar)]
        return await self._all(every, soft=not force, many=many)

    async def _untag(self, images: Sequence[StoredImage]) -> list[ImageDeleteResponse]:
        done = []
        for image in images:
            await self._store.delete(image.name)
            self._naming.tell("untag", image.target.digest, shown(image))
            done.append(ImageDeleteResponse(untagged=shown(image)))
        return done

    async def _all(
        self, images: Sequence[StoredImage], *, soft: bool, many: bool
    ) -> list[ImageDeleteResponse]:
        digest = images[0].target.digest
        self._check(digest, images, soft=soft, many=many)
        done = []
        for number, image in enumerate(images, 1):
            await self._store.delete(image.name, sync=number == len(images))
            if not is_dangling(image):
                self._naming.tell("untag", digest, shown(image))
                done.append(ImageDeleteResponse(untagged=shown(image)))
        self._contents.forget(digest)
        self._naming.tell("delete", digest, digest)
        done.append(ImageDeleteResponse(deleted=digest))
        return done

    def _check(self, digest: str, images: Sequence[StoredImage], *, soft: bool, many: bool) -> None:
        users = [user for user in self._users() if user.image == digest]
        for user in users:
            if user.running:
                raise _conflict(
                    _short(digest),
                    f"image is being used by running container {user.container[:12]}",
                    forced="cannot be forced",
                )
        if soft and users:
            raise _conflict(
                _short(digest), f"image is being used by stopped container {users[0].container[:12]}"
            )
        if many and len(images) > 1:
            raise _conflict(_short(digest), "image is referenced in multiple repositories")

    async def _platforms(
        self, image: StoredImage, platforms: Sequence[Platform]
    ) -> list[ImageDeleteResponse]:
        """Remove the content of some platforms; the image and its names stay."""
        done = []
        for platform in platforms:
            best = await self._contents.best(image.target, platform)
            if best is None:
                raise NotFound(
                    f"failed to delete platform {platform} for image {image.target.digest}: image with "
                    f"reference {shown(image)} was found but does not provide the specified platform "
                    f"({platform})"
                )
            for descriptor in [each async for each in self._contents.walk(best)]:
                await self._store.content.delete(descriptor.digest)
                self._contents.forget(descriptor.digest)
                if descriptor.media_type in INDEX_TYPES | MANIFEST_TYPES:
                    done.append(ImageDeleteResponse(deleted=descriptor.digest))
        return done


def _is_id(name: str, digest: str) -> bool:
    return digest.startswith(name) or digest.partition(":")[2].startswith(name)


def _short(digest: str) -> str:
    return digest.partition(":")[2][:12]


def _same(named: Reference | None, images: Sequence[StoredImage]) -> list[StoredImage]:
    """Those that go together with a name: itself, what has no name, and digests of its repository.

    The digests only if the repository has no other tag among them; without `named` the first name counts.
    """
    tag = named.tag if named else ""
    every_tag = named is not None and not named.tag and bool(named.digest)
    same: list[StoredImage] = []
    digests: list[StoredImage] | None = []
    for image in images:
        if not is_dangling(image):
            try:
                own = parse_reference(image.name)
            except InvalidParameter:
                same.append(image)
                continue
            if named is None:
                named, tag = own, own.tag
            elif named.name != own.name:
                continue
            elif not every_tag:
                if not own.tag:
                    if digests is not None:
                        digests.append(image)
                    continue
                if tag and own.tag != tag:
                    digests = None
                    continue
                tag = own.tag
        same.append(image)
    return same + (digests or [])


def _conflict(what: str, why: str, *, forced: str = "must be forced") -> Conflict:
    return Conflict(f"conflict: unable to delete {what} ({forced}) - {why}")
