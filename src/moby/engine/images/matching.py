"""This file is about filters of images: which of them a list or a prune is about."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import lru_cache

from moby.core.errors import InvalidParameter, MobyError
from moby.core.filters import Filters
from moby.core.images import StoredImage
from moby.core.reference import parse_reference
from moby.core.types.images import ImageSearchResult
from moby.engine.images.lookup import is_dangling
from moby.images.documents import ImageDocument

LIST_FILTERS = frozenset({"dangling", "label", "label!", "before", "since", "reference", "until"})
SEARCH_FILTERS = frozenset({"is-automated", "is-official", "stars"})
PRUNE_FILTERS = frozenset({"dangling", "label", "label!", "until"})

Check = Callable[[StoredImage], Awaitable[bool]]
Read = Callable[[StoredImage], Awaitable[ImageDocument | None]]


async def matcher(filters: Filters, read: Read, resolve: Callable[[str], Awaitable[StoredImage]]) -> Check:
    """Does an image pass every filter? Raises InvalidParameter, NotFound for unknown ones."""
    checks: list[Check] = []
    for key in ("before", "since"):
        for value in filters.values(key):
            made = _created(await read(await resolve(value)))
            if made is not None:
                checks.append(_made_check(made, read, before=key == "before"))
    for value in filters.values("until"):
        try:
            checks.append(_until_check(Filters.moment(value)))
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid value for 'until' filter: {error.message}") from error
    labels = [
        (value, negated)
        for key, negated in (("label", False), ("label!", True))
        for value in filters.values(key)
    ]
    if labels:
        checks.append(_label_check(labels, read))
    if "dangling" in filters:
        checks.append(_dangling_check(filters.flag("dangling", False)))
    if patterns := filters.values("reference"):
        checks.append(_reference_check(patterns))

    async def passes(image: StoredImage) -> bool:
        for check in checks:
            if not await check(image):
                return False
        return True

    return passes


def search_matcher(filters: Filters) -> Callable[[ImageSearchResult], bool]:
    """Does a result of a search pass every filter? Raises InvalidParameter."""
    filters.check(SEARCH_FILTERS)
    automated, official = filters.flag("is-automated", False), filters.flag("is-official", False)
    stars = 0
    for text in filters.values("stars"):
        if not re.fullmatch(r"[+-]?\d{1,18}", text):
            raise InvalidParameter(
                f"invalid filter 'stars={text}': strconv.Atoi: parsing \"{text}\": invalid syntax"
            )
        stars = max(stars, int(text))

    def passes(result: ImageSearchResult) -> bool:
        # Nothing is built by registries any more, whatever they say.
        result.is_automated = False
        right = "is-official" not in filters or result.is_official == official
        return right and not automated and result.star_count >= stars

    return passes


def _created(document: ImageDocument | None) -> datetime | None:
    if document is None or not document.created:
        return None
    return parse_created(document.created)


def parse_created(text: str) -> datetime | None:
    """An image's time of making; None if it cannot be read."""
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _made_check(limit: datetime, read: Read, *, before: bool) -> Check:
    async def check(image: StoredImage) -> bool:
        made = _created(await read(image))
        return made is not None and (made < limit if before else made > limit)

    return check


def _until_check(limit: datetime) -> Check:
    async def check(image: StoredImage) -> bool:
        return image.created_at is not None and image.created_at < limit

    return check


def _dangling_check(wanted: bool) -> Check:
    async def check(image: StoredImage) -> bool:
        return is_dangling(image) == wanted

    return check


def _label_check(wanted: Sequence[tuple[str, bool]], read: Read) -> Check:
    async def check(image: StoredImage) -> bool:
        document = await read(image)
        if document is None:
            return False
        labels = document.config.labels
        for text, negated in wanted:
            name, equals, value = text.partition("=")
            if name.endswith("!"):
                name, negated = name[:-1], not negated
            has = name in labels and (not equals or labels[name] == value)
            if has == negated:
                return False
        return True

    return check


def _reference_check(patterns: Sequence[str]) -> Check:
    compiled = [glob(pattern) for pattern in patterns]

    async def check(image: StoredImage) -> bool:
        try:
            reference = parse_reference(image.name)
        except MobyError:
            return False
        names = (
            reference.familiar,
            reference.familiar_name,
            str(reference.with_default_tag()),
            reference.name,
        )
        return any(pattern.fullmatch(name) for pattern in compiled for name in names)

    return check


@lru_cache(256)
def glob(pattern: str) -> re.Pattern[str]:
    """A shell pattern in which `*` and `?` stop at slashes; one that is malformed matches nothing."""
    out = ""
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            out += "[^/]*"
        elif character == "?":
            out += "[^/]"
        elif character == "[" and (end := pattern.find("]", position + 1)) > 0:
            body = pattern[position:end]
            out += (
                "[" + ("^" if body[0] == "^" else "") + re.escape(body.lstrip("^")).replace(r"\-", "-") + "]"
            )
            position = end + 1
        elif character == "\\" and position < len(pattern):
            out += re.escape(pattern[position])
            position += 1
        else:
            out += re.escape(character)
    try:
        return re.compile(out)
    except re.error:
        return re.compile(r"(?!)")
