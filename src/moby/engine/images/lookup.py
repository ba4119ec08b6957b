"""This file is about finding images: by name, by ID, by the beginning of an ID."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec

from moby.core.errors import InvalidParameter, NotFound, no_such
from moby.core.images import ImageStore, StoredImage
from moby.core.reference import Reference, dangling_name, parse_any, parse_reference

_SHORT_ID = re.compile(r"(?:sha256:)?([a-f0-9]{4,64})")


class ImageUser(msgspec.Struct, frozen=True):
    """A container, as far as images are concerned; `name` is the image as its maker wrote it."""

    container: str
    image: str
    manifest: str
    name: str
    running: bool


Users = Callable[[], Iterable[ImageUser]]


def is_dangling(image: StoredImage) -> bool:
    """Has it no name of its own?"""
    return image.name == dangling_name(image.target.digest)


def short_id(text: str) -> str:
    """The hexadecimal part if `text` may be an ID or the beginning of one; else empty."""
    match = _SHORT_ID.fullmatch(text)
    return match[1] if match else ""


def shown(image: StoredImage) -> str:
    """An image's name as people read it; of one without, its ID."""
    if is_dangling(image):
        return image.target.digest
    try:
        return parse_reference(image.name).familiar
    except InvalidParameter:
        return image.name


def no_such_image(parsed: Reference | str) -> NotFound:
    """The error in dockerd's words."""
    return no_such("image", parsed if isinstance(parsed, str) else parsed.with_default_tag().familiar)


class Lookup:
    """Finds images in a store."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    async def resolve(self, name: str) -> StoredImage:
        """The image that a name or an ID means. Raises NotFound, InvalidParameter."""
        if (found := await self._dangling(name)) is not None:
            return found
        parsed = parse_any(name)
        if isinstance(parsed, str) or parsed.digest:
            digest = parsed if isinstance(parsed, str) else parsed.digest
            for image in await self.with_target(digest):
                if isinstance(parsed, str) or _repository(image) == parsed.name:
                    return image
            raise no_such_image(parsed)
        full = str(parsed.with_default_tag())
        try:
            return await self._store.get(full)
        except NotFound as error:
            if not (prefix := short_id(name)):
                raise no_such_image(parsed) from error
        matches = [
            image for image in await self._store.list() if image.target.digest.startswith(f"sha256:{prefix}")
        ]
        if not matches:
            raise no_such_image(parsed)
        if len({image.target.digest for image in matches}) > 1:
            raise NotFound("ambiguous reference")
        return matches[0]

    async def _dangling(self, name: str) -> StoredImage | None:
        if "@" not in name or name != dangling_name(name.partition("@")[2]):
            return None
        try:
            return await self._store.get(name)
        except NotFound:
            return None

    async def references(self, name: str) -> tuple[StoredImage | None, list[StoredImage]]:
        """The image of exactly that name, if `name` is one, and every image with the same target.

        Raises NotFound, InvalidParameter.
        """
        image = await self.resolve(name)
        same = await self.with_target(image.target.digest)
        parsed = parse_any(name) if not is_dangling(image) or image.name != name else name
        exact = (
            str(parsed.with_default_tag())
            if isinstance(parsed, Reference)
            else (name if image.name == name else "")
        )
        return next((each for each in same if each.name == exact), None), same

    async def with_target(self, digest: str) -> list[StoredImage]:
        """Every image that points there."""
        return [image for image in await self._store.list() if image.target.digest == digest]

    async def of_repository(self, reference: Reference) -> list[StoredImage]:
        """Every tagged image of a repository."""
        return [
            image
            for image in await self._store.list()
            if image.name.startswith(f"{reference.name}:") and "@" not in image.name
        ]


def _repository(image: StoredImage) -> str:
    try:
        return parse_reference(image.name).name
    except InvalidParameter:
        return ""
