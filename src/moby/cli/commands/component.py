"""This file is about `moby component`: the library of images that machines are made of."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moby.cli.commands.run import add_hardware_flags
from moby.core.errors import NotFound

if TYPE_CHECKING:
    from moby.core.platform import Platform
    from moby.machine.cache import ImageCache
    from moby.machine.components import Library
    from moby.machine.recipes import Component


def add(verbs: Any) -> None:
    """The command and those below it."""
    parser = verbs.add_parser("component", help="the library of images that machines are made of")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where images are kept (~/.cache/moby)")
    parser.add_argument("--components", type=Path, metavar="DIR", help="more components than those that ship")
    parser.add_argument("--platform", metavar="OS/ARCH", help="what they run on (as here)")
    below = parser.add_subparsers(dest="below", required=True, metavar="COMMAND")
    below.add_parser("ls", help="list them, each with its tag and what it is")
    tag = below.add_parser(
        "show-tag", help="print the names of their images, tags being hashes of the recipes"
    )
    tag.add_argument("names", nargs="+", metavar="NAME|DIR")
    build = below.add_parser("build", help="make their images anew")
    build.add_argument("names", nargs="+", metavar="NAME|DIR")
    build.add_argument("--update", action="store_true", help="fetch the lists of packages anew")
    push = below.add_parser("push", help="send their images to a registry, made if they are not there")
    push.add_argument("names", nargs="+", metavar="NAME|DIR")
    push.add_argument("--to", required=True, metavar="HOST[/PATH]", help="where to: HOST/PATH/NAME:TAG")
    push.add_argument(
        "--insecure-registry", action="append", default=[], metavar="HOST", help="one without TLS"
    )
    push.add_argument("-q", "--quiet", action="store_true", help="say nothing on the way")
    test = below.add_parser("test", help="run the machine of their test.yml and wait for its checks")
    test.add_argument("names", nargs="+", metavar="NAME|DIR")
    add_hardware_flags(test)


def do(chosen: argparse.Namespace) -> str:
    """Do it; what to print."""
    from moby.core.platform import host_platform, parse_platform
    from moby.machine.building import Settings, component_folders
    from moby.machine.cache import ImageCache, default_cache
    from moby.machine.components import Library

    platform = parse_platform(chosen.platform) if chosen.platform else host_platform()
    cache = ImageCache(chosen.cache or default_cache())
    folders = component_folders(Settings(cache.root, components=chosen.components))
    library = Library(cache, platform, folders, lambda step: print(f"moby: {step}", file=sys.stderr))
    if chosen.below == "ls":
        every = [library.component(name) for name in library.names()]
        return "\n".join(f"{each.reference(platform).familiar}  {each.recipe.about}" for each in every)
    named = [library.component(name) for name in chosen.names]
    if chosen.below == "show-tag":
        return "\n".join(each.reference(platform).familiar for each in named)

    if chosen.below == "test":
        return "\n".join(_test(chosen, each) for each in named)
    cache.prepare()
    if chosen.below == "push":
        return asyncio.run(_push(chosen, library, cache, named, platform))

    async def build() -> list[str]:
        if chosen.update:
            await library.update()
        found = []
        for each in named:
            target = await library.build(each)
            found.append(f"{each.reference(platform).familiar} {target.digest}")
        return found

    return "\n".join(asyncio.run(build()))


def _test(chosen: argparse.Namespace, component: Component) -> str:
    from moby.cli.commands import test
    from moby.machine.recipes import TEST

    file = component.folder / TEST
    if not file.exists():
        raise NotFound(f"component {component.name} has no {TEST}")
    parser = argparse.ArgumentParser()
    test.add(parser.add_subparsers())
    words = ["test", str(file), "--components", str(component.folder.parent)]
    words += ["--memory", str(chosen.memory), "--cpus", str(chosen.cpus), "--accel", chosen.accel]
    for flag, value in (("--cache", chosen.cache), ("--platform", chosen.platform)):
        words += [flag, str(value)] if value else []
    return f"{component.name}: {test.do(parser.parse_args(words))}"


async def _push(
    chosen: argparse.Namespace,
    library: Library,
    cache: ImageCache,
    named: list[Component],
    platform: Platform,
) -> str:
    from moby.cli.commands.image import transfer
    from moby.core.images import StoredImage
    from moby.core.reference import parse_reference
    from moby.machine.layout_store import LayoutImages

    store = LayoutImages(cache)
    sent = []
    for component in named:
        own = component.reference(platform)
        ours = component.name in library.names()
        target = await (library.image(own, None) if ours else library.build(component))
        other = parse_reference(f"{chosen.to.rstrip('/')}/{component.name}:{own.tag}")
        await store.put(StoredImage(str(other), target))
        chosen.names = [str(other)]
        sent.append(f"{other.familiar} {await transfer(chosen, store)}")
    return "\n".join(sent)
