"""This file is about `moby image`: images in an OCI layout of one's own, without daemon or root."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moby.core.platform import Platform
    from moby.core.reference import Reference
    from moby.core.types.jsonstream import JSONMessage
    from moby.machine.layout_store import LayoutImages


def add(verbs: Any) -> None:
    """The command and those below it."""
    parser = verbs.add_parser("image", help="images in an OCI layout, without a daemon")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="the layout (~/.cache/moby)")
    below = parser.add_subparsers(dest="below", required=True, metavar="COMMAND")
    for name, words in (("pull", "fetch images from their registries"), ("push", "send images to theirs")):
        verb = below.add_parser(name, help=words)
        verb.add_argument("names", nargs="+", metavar="NAME")
        verb.add_argument("--platform", metavar="OS/ARCH", help="the platform to take of several")
        verb.add_argument(
            "--insecure-registry", action="append", default=[], metavar="HOST", help="one without TLS"
        )
        verb.add_argument("-q", "--quiet", action="store_true", help="say nothing on the way")
    below.add_parser("ls", help="list them")
    inspect = below.add_parser("inspect", help="print an image's manifest and configuration")
    inspect.add_argument("name", metavar="NAME")
    inspect.add_argument("--platform", metavar="OS/ARCH", help="the platform to take of several")
    export = below.add_parser("export", help="write images to an archive that docker load and others read")
    export.add_argument("names", nargs="+", metavar="NAME")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    export.add_argument("--platform", metavar="OS/ARCH", help="the platform to take of several")
    tag = below.add_parser("tag", help="give an image another name")
    tag.add_argument("name", metavar="NAME")
    tag.add_argument("other", metavar="OTHER")
    remove = below.add_parser("rm", help="take names away")
    remove.add_argument("names", nargs="+", metavar="NAME")
    below.add_parser("prune", help="remove what no name leads to")


def do(chosen: argparse.Namespace) -> str:
    """Do it; what to print."""
    from moby.machine.cache import ImageCache, default_cache
    from moby.machine.layout_store import LayoutImages

    cache = ImageCache(chosen.cache or default_cache())
    cache.prepare()
    return asyncio.run(_do(chosen, LayoutImages(cache)))


async def _do(chosen: argparse.Namespace, store: LayoutImages) -> str:
    match chosen.below:
        case "pull" | "push":
            return await transfer(chosen, store)
        case "ls":
            return await _list(store)
        case "inspect":
            return await _inspect(chosen, store)
        case "export":
            return await _export(chosen, store)
        case "tag":
            found = await store.get(str(_reference(chosen.name)))
            await store.put(type(found)(str(_reference(chosen.other)), found.target))
            return ""
        case "rm":
            for name in chosen.names:
                await store.delete(str(_reference(name)))
            return ""
        case _:
            count, freed = await store.prune()
            return f"{count} blobs, {freed} bytes"


def _reference(text: str) -> Reference:
    from moby.core.reference import parse_reference

    return parse_reference(text).with_default_tag()


def _platform(chosen: argparse.Namespace) -> Platform | None:
    from moby.core.platform import parse_platform

    return parse_platform(chosen.platform) if chosen.platform else None


async def transfer(chosen: argparse.Namespace, store: LayoutImages) -> str:
    """Pull or push, as chosen; the digests. Raises MobyError."""
    from moby.images.jobs import Report
    from moby.images.pull import Puller, PullRequest
    from moby.images.push import Pusher, PushRequest
    from moby.images.registry.client import Registries
    from moby.images.registry.settings import RegistryConfig
    from moby.images.unpack import PackedLayers
    from moby.machine.credentials import credentials

    config = RegistryConfig(insecure_registries=tuple(chosen.insecure_registry))
    report = Report(_silent if chosen.quiet else _Teller().tell)
    digests = []
    async with Registries(lambda: config) as registries:
        for name in chosen.names:
            reference, platform = _reference(name), _platform(chosen)
            auth = await credentials(reference.domain)
            if chosen.below == "pull":
                request = PullRequest(reference, platform, auth)
                digests.append(
                    (await Puller(store, registries, PackedLayers()).pull(request, report)).target.digest
                )
            else:
                sent = await Pusher(store, registries).push(PushRequest(reference, platform, auth), report)
                digests.append(sent.digest)
    return "\n".join(digests)


def _silent(message: JSONMessage) -> None:
    """Nothing is said."""


class _Teller:
    """Says each step of each part once; how far it is would be too much for a log."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def tell(self, message: JSONMessage) -> None:
        """One message of a transfer."""
        step = (message.id, message.status)
        if message.status and step not in self._said:
            self._said.add(step)
            print(f"{message.id}: {message.status}" if message.id else message.status, file=sys.stderr)


async def _list(store: LayoutImages) -> str:
    from moby.core.reference import familiar

    return "\n".join(f"{familiar(image.name)} {image.target.digest}" for image in await store.list())


async def _inspect(chosen: argparse.Namespace, store: LayoutImages) -> str:
    import msgspec

    from moby.core.errors import NotFound
    from moby.core.platform import host_platform
    from moby.images.contents import Contents

    image, contents = await store.get(str(_reference(chosen.name))), Contents(store)
    wanted = _platform(chosen)
    best = await contents.best(image.target, wanted or host_platform(), strict=wanted is not None)
    if best is None:
        raise NotFound(f"{chosen.name} is not here for {wanted}")
    document = await contents.document(best)
    found = {"Name": image.name, "Target": image.target, "Descriptor": best, "Manifest": document}
    if document.config is not None:
        found["Config"] = msgspec.Raw(await store.content.read(document.config.digest))
    return msgspec.json.format(msgspec.json.encode(found), indent=4).decode()


async def _export(chosen: argparse.Namespace, store: LayoutImages) -> str:
    from moby.host.files import translation
    from moby.host.threads import blocking
    from moby.images.archive_save import Saved, Saver

    platform = _platform(chosen)
    saved = []
    for name in chosen.names:
        reference = _reference(name)
        saved.append(Saved((await store.get(str(reference))).target, reference))
    unfinished = chosen.output.with_name(f".{chosen.output.name}.new")
    with translation(f"cannot write {chosen.output}"):
        try:
            with unfinished.open("wb") as file:
                async for chunk in Saver(store).save(saved, [platform] if platform else []):
                    await blocking(file.write, chunk)
            unfinished.replace(chosen.output)
        finally:
            unfinished.unlink(missing_ok=True)
    return ""
