"""This file is about building: from an assembly's file to the machine's files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from moby import __version__
from moby.core.errors import InvalidParameter, MobyError
from moby.core.platform import Platform, host_platform
from moby.framework.assembly import Assembly, read
from moby.framework.machine import Output
from moby.host.threads import finishing
from moby.images.registry.client import Registries
from moby.images.registry.settings import RegistryConfig
from moby.machine.cache import Image, ImageCache
from moby.machine.components import Library
from moby.machine.formats import DEFAULT, check_format, writer
from moby.machine.image_maps import ImageMap
from moby.machine.image_roots import image_tree
from moby.machine.inventory import software
from moby.machine.job import Job, scratch_folder, write_chunks, written
from moby.machine.lock import NAME as LOCK_NAME
from moby.machine.lock import read_lock
from moby.machine.provenance import statement
from moby.machine.pulling import Fetcher
from moby.machine.recipes import library
from moby.machine.resolving import Sources, resolve
from moby.machine.rootfs import Parts, root_tree
from moby.machine.rules import check_machine
from moby.machine.sbom import Contents, cyclonedx, spdx
from moby.machine.unchanged import Notes, key_of

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """How images are found; what a user chose on the command line."""

    cache: Path
    lock: Path | None = None
    pull: bool = False
    offline: bool = False
    locked_only: bool = False
    unlocked: bool = False
    platform: Platform | None = None
    insecure_registries: tuple[str, ...] = ()
    components: Path | None = None
    """A folder of components beside those that ship; of two with one name, this one."""
    image_map: ImageMap = field(default_factory=dict)
    """Other images than the assembly names."""


def read_machine(*paths: Path) -> Assembly:
    """An assembly whose machine is right. Raises InvalidParameter, naming file, line and key."""
    assembly = read(*paths)
    check_machine(assembly)
    for index, output in enumerate(assembly.machine.outputs):
        try:
            check_format(output.format)
        except InvalidParameter as error:
            raise assembly.wrong(f"outputs[{index}].format", error.message, hint=error.hint) from error
    return assembly


def moment() -> int:
    """The time that everything in a machine is dated: `SOURCE_DATE_EPOCH`, or the begin of 1970."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not text.isdigit() or int(text) >= 2**32:
        raise InvalidParameter(f"SOURCE_DATE_EPOCH is {text!r}, and has to be seconds since 1970")
    return int(text)


def component_folders(settings: Settings) -> dict[str, Path]:
    """Every component with its folder."""
    return {**library(), **(library(settings.components) if settings.components else {})}


async def find_images(
    path: Path, assembly: Assembly, settings: Settings, tell: Tell = lambda _step: None
) -> tuple[ImageCache, dict[str, Image]]:
    """Every image of the assembly, in the cache. Raises MobyError."""
    platform = settings.platform or host_platform()
    cache = ImageCache(settings.cache)
    cache.prepare()
    config = RegistryConfig(insecure_registries=settings.insecure_registries)
    async with Registries(lambda: config) as registries:
        sources = Sources(
            cache,
            Fetcher(cache, registries, platform),
            platform,
            path.resolve().parent,
            components=Library(cache, platform, component_folders(settings), tell),
            lock={} if settings.unlocked else read_lock(settings.lock or path.resolve().parent / LOCK_NAME),
            pull=settings.pull,
            offline=settings.offline,
            locked_only=settings.locked_only,
            image_map=settings.image_map,
        )
        return cache, await resolve(assembly, sources)


@dataclass(frozen=True, slots=True)
class Order:
    """What to build: `formats` instead of the assembly's outputs; `papers` tell what is in the machine.

    `more` are files that are merged into the assembly, one after the other. What has not changed since it was
    written is not written again, unless `again` is set.
    """

    path: Path
    name: str
    folder: Path
    formats: Sequence[str] = ()
    papers: bool = True
    size: str = ""
    more: Sequence[Path] = ()
    again: bool = False


async def build(order: Order, settings: Settings, tell: Tell = lambda _step: None) -> list[Path]:
    """Build the machine of an assembly; the files that were written.

    Raises MobyError. What fails or is cancelled leaves no half-written file.
    """
    path = order.path
    if not order.name or "/" in order.name:
        raise InvalidParameter(f"{order.name!r} is no name for files", hint="--dir says where they go")
    assembly = read_machine(path, *order.more)
    when = moment()
    outputs = [Output(each) for each in order.formats] or list(assembly.machine.outputs) or [Output(DEFAULT)]
    if order.size:
        outputs = [Output(each.format, each.compression, order.size) for each in outputs]
    for output in outputs:
        check_format(output.format)
    platform = settings.platform or host_platform()
    tell("images")
    cache, images = await find_images(path, assembly, settings, tell)
    notes = Notes(cache.root, order.folder, order.name)
    key = await finishing(
        _key, order, assembly, images, outputs, (platform, when, sorted(settings.image_map.items()))
    )
    if not order.again and (made := notes.find(key)) is not None:
        tell("nothing has changed")
        return [order.folder / each.name for each in made]
    parts = Parts(assembly, images, cache, path.resolve().parent)
    found = await _write(order, parts, outputs, platform, tell)
    notes.write(key, found)
    return found


def _key(
    order: Order,
    assembly: Assembly,
    images: dict[str, Image],
    outputs: Sequence[Output],
    more: tuple[object, ...],
) -> str:
    made_of = [
        f"{name}={image.target.digest} {image.manifest.digest}" for name, image in sorted(images.items())
    ]
    folder = order.path.resolve().parent
    sources = [folder / Path(file.source).expanduser() for file in assembly.machine.files if file.source]
    parts = [__version__, assembly.name, assembly.digest, order.name, order.papers, outputs, made_of, *more]
    return key_of(parts, sources)


async def _write(
    order: Order, parts: Parts, outputs: Sequence[Output], platform: Platform, tell: Tell
) -> list[Path]:
    """Every output and the papers; the files that were written."""
    assembly, when = parts.assembly, moment()
    writers = [writer(output.format) for output in outputs]
    tell("root file system")
    tree = await finishing(root_tree, parts)
    found: list[Path] = []
    with scratch_folder(order.folder) as scratch:
        common = scratch / "common"
        common.mkdir()
        job = Job(tree, order.name, order.folder, scratch, when, platform=platform, common=common)
        for index, (output, write) in enumerate(zip(outputs, writers, strict=True)):
            tell(output.format)
            own = scratch / str(index)
            own.mkdir()
            try:
                found += await write(replace(job, options=output, scratch=own))
            except MobyError as error:
                message = f"{output.format}: {error.message}"
                if order.formats or not assembly.machine.outputs:
                    raise type(error)(f"{assembly.name}: {message}", hint=error.hint) from error
                where = assembly.wrong(f"outputs[{index}].format", message)
                raise type(error)(where.message, hint=error.hint) from error
    if order.papers:
        formats = [output.format for output in outputs]
        stated = await finishing(
            statement, assembly, order.path, parts.images, set(found), formats, platform, when
        )
        found += await finishing(_papers, order, parts, stated, when)
    return list(dict.fromkeys(found))


def _papers(order: Order, parts: Parts, stated: bytes, when: int) -> list[Path]:
    """Bills of materials and provenance, beside the machine."""
    listed = {name: (image, software(image_tree(parts.cache, image))) for name, image in parts.images.items()}
    contents = Contents(order.name, listed, when)
    found = []
    for end, data in (
        ("sbom.spdx.json", spdx(contents)),
        ("sbom.cdx.json", cyclonedx(contents)),
        ("provenance.json", stated),
    ):
        target = order.folder / f"{order.name}-{end}"
        with written(target) as path:
            write_chunks(path, [data])
        found.append(target)
    return found
