"""This file is about which image a name in an assembly stands for, and getting it here.

A path (`./app.tar`) is an archive or a layout beside the assembly. Any other name may stand for another, by a
map. It is what the lock says; else a component of ours, if it is one; else what the cache has under that
name; else what its registry has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from moby.core.descriptor import Descriptor
from moby.core.errors import InvalidParameter, MobyError, NotFound
from moby.core.platform import Platform
from moby.core.reference import Reference, parse_reference
from moby.framework.assembly import Assembly
from moby.host.threads import finishing
from moby.machine.archives import take_in
from moby.machine.cache import Image, ImageCache, full_name
from moby.machine.image_maps import ImageMap, as_mapped, other_image
from moby.machine.lock import Locked
from moby.machine.pulling import Fetcher
from moby.machine.rules import is_archive
from moby.machine.trust import Guard


class Components(Protocol):
    """A library of images that are made here."""

    def has(self, reference: Reference) -> bool:
        """Is this the name of a component, at the version that is here?"""
        ...

    async def image(self, reference: Reference, locked: Locked | None) -> Descriptor:
        """The component's image in the cache, made if it is not there."""
        ...


@dataclass(slots=True)
class Sources:
    """Where images come from; `pull` asks registries even for what is here, `offline` never asks them."""

    cache: ImageCache
    fetcher: Fetcher
    platform: Platform
    folder: Path
    components: Components | None = None
    lock: Mapping[str, Locked] = field(default_factory=dict)
    pull: bool = False
    offline: bool = False
    locked_only: bool = False
    image_map: ImageMap = field(default_factory=dict)


async def resolve(assembly: Assembly, sources: Sources) -> dict[str, Image]:
    """Every image of an assembly by the name it has there.

    Raises a MobyError whose message begins with file, line and key.
    """
    found: dict[str, Image] = {}
    rules = assembly.machine.trust
    guard = Guard(rules if isinstance(rules, list) else [], sources.cache, sources.folder)
    for key, name in assembly.machine.images():
        if name in found:
            continue
        try:
            found[name] = await _image(name, sources, guard)
        except MobyError as error:
            where = assembly.wrong(key, f"{name}: {error.message}", hint=error.hint)
            raise type(error)(where.message, hint=where.hint) from error
    return found


async def _image(name: str, sources: Sources, guard: Guard) -> Image:
    if is_archive(name):
        target = await finishing(_from_file, name, sources)
        other = None
    else:
        other = other_image(sources.image_map, name)
        reference = parse_reference(other.image if other else name)
        target = await _from_name(reference, name, sources)
        # What is made here needs nobody's word.
        if sources.components is None or not sources.components.has(reference):
            await guard.check(reference, target, None if sources.offline else sources.fetcher)
    image = await finishing(sources.cache.image, target, sources.platform, name)
    image = as_mapped(image, other) if other else image
    if image.config.os and not image.config.platform.fits(sources.platform):
        raise NotFound(f"the image is for {image.config.platform}, not for {sources.platform}")
    return image


def _from_file(name: str, sources: Sources) -> Descriptor:
    path = Path(name).expanduser()
    found = take_in(sources.cache, path if path.is_absolute() else sources.folder / path)
    targets = {target.digest: target for _name, target in found}
    if len(targets) != 1:
        names = ", ".join(sorted(name or "one without a name" for name, _target in found))
        raise InvalidParameter(
            f"there are several images in it: {names}", hint="moby cache import takes them all"
        )
    target = next(iter(targets.values()))
    locked = sources.lock.get(name)
    if locked is not None and locked.digest != target.digest:
        raise InvalidParameter(f"is {target.digest}, and {locked.digest} in the lock")
    if locked is None and sources.locked_only:
        raise InvalidParameter("is not in the lock", hint="moby lock")
    return target


async def _from_name(reference: Reference, name: str, sources: Sources) -> Descriptor:
    locked = sources.lock.get(name)
    if locked is None and sources.locked_only and not reference.digest:
        raise InvalidParameter("is not in the lock", hint="moby lock")
    if sources.components is not None and sources.components.has(reference):
        target = await sources.components.image(reference, locked)
        if locked is not None and locked.digest != target.digest:
            raise InvalidParameter(f"is {target.digest}, and {locked.digest} in the lock", hint="moby lock")
        return target
    if locked is not None:
        reference = reference.with_digest(locked.digest)
    here = None if sources.pull and not reference.digest else _from_cache(reference, sources)
    if here is not None:
        return here
    if sources.offline:
        raise NotFound("is not in the image cache, and registries are not asked")
    target = await sources.fetcher.fetch(reference)
    await finishing(sources.cache.name, full_name(reference), target)
    return target


def _from_cache(reference: Reference, sources: Sources) -> Descriptor | None:
    names = sources.cache.names()
    target = names.get(full_name(reference))
    if target is None and reference.digest:
        target = next((entry for entry in names.values() if entry.digest == reference.digest), None)
    if target is None:
        return None
    try:
        sources.cache.image(target, sources.platform)
    except NotFound:
        return None
    return target


def locks(images: Mapping[str, Image]) -> dict[str, Locked]:
    """What a lock says of these images."""
    return {name: Locked(image.target.digest, packages(image)) for name, image in images.items()}


PACKAGES_LABEL = "org.mobyproject.packages"


def packages(image: Image) -> tuple[str, ...]:
    """`name=version` of each package that a component was made of; nothing for other images."""
    return tuple(image.config.config.labels.get(PACKAGES_LABEL, "").split())
